"""Whether what an endpoint is asked has drifted from what its model was tested on.

| pk             | sk    | holds                                       |
|----------------|-------|---------------------------------------------|
| PROJECT#{slug} | DRIFT | the latest verdict, and what it compares to |
"""

from dataclasses import dataclass, fields
from typing import Any

from contracts.answer_counts import AnswerCounts
from contracts.identity import Project
from lambdas.state import State
from lambdas.table import Key


@dataclass(frozen=True, slots=True)
class DriftRecord:
    """A verdict on the live model's latest answers. Times are in seconds since the epoch."""

    reference: AnswerCounts  # the model's answers to its test examples
    model_version: str
    is_drifting: bool = False
    since: float | None = None  # of the drift
    is_announced: bool = False
    score: float = 0.0  # 0 as on the test examples, 1 as unlike as can be
    p_value: float = 1.0  # of such a difference by chance
    mix: float = 0.0  # how unlike the classes' shares are, which by itself is no drift
    reason: str = ""
    examples: int = 0  # that it judges by, answered from `first_day` on
    first_day: str = ""
    judged_at: float = 0.0  # 0 where there were never enough answers
    revision: int = 0  # of the item that this was read from; 0 if there was none

    def as_dict(self) -> dict[str, Any]:
        """For the API's answers."""
        shown = (
            *("is_drifting", "since", "score", "p_value", "mix", "reason"),
            *("examples", "judged_at"),
        )
        return {name: getattr(self, name) for name in ("model_version", *shown)}


class DriftRecords:
    """One a project."""

    def __init__(self, state: State) -> None:
        self._state = state

    def find(self, project: Project) -> DriftRecord | None:
        """The latest verdict."""
        item = self._state.table.get(_key(project))
        if item is None:
            return None
        values = {name: item[name] for name in _STORED} | {"revision": item["revision"]}
        return DriftRecord(AnswerCounts.from_item(item["reference"]), **values)

    def put(self, project: Project, record: DriftRecord) -> bool:
        """Store what followed upon `record.revision`; False if something else has meanwhile.

        Nor is anything stored of a project that is deleted, so that nothing is left behind.
        """
        values = {name: getattr(record, name) for name in _STORED}
        values["reference"] = record.reference.as_item()
        guard = self._state.guard(project)
        return self._state.table.put_revision(_key(project), values, record.revision, guard)


def _key(project: Project) -> Key:
    return f"PROJECT#{project.slug}", "DRIFT"


_STORED = tuple(f.name for f in fields(DriftRecord) if f.name not in {"reference", "revision"})
