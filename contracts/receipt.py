"""What is left of a deleted project: what went, how much of it, and what stays elsewhere."""

from dataclasses import dataclass, field
from typing import Any, Final

KEPT_SECONDS: Final = 365 * 86_400.0

# Things that hold a project's name and are not the project's own.
STAYS: Final = (
    "what its trainings have cost, which counts for your months' budgets",
    "lines with its name in the logs of the control functions, until they expire",
    "the flow run of this deletion, and the workflow server's events until they expire",
    "point-in-time backups of the state table, for 35 days on AWS",
    "copies of files in the caches of other workers, where there are several hosts",
)
TRACKING_STAYS: Final = (
    "parameters and figures of its deleted MLflow runs, under no name, until `mlflow gc` is run"
)


@dataclass(frozen=True, slots=True)
class Receipt:
    """One deletion, under way or done. Times are seconds since the epoch, 0 before they come."""

    receipt_id: str
    project: str
    started_at: float
    updated_at: float
    finished_at: float = 0.0
    swept_again_at: float = 0.0  # for what was on its way when all else had gone
    progress: float = 0.0
    message: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    stays: list[str] = field(default_factory=list)
    failure: dict[str, Any] = field(default_factory=dict)  # {"code", "message", "fix"}
    # What only those who delete need to know:
    flow_run_id: str = ""
    attempt: int = 0  # of the flow run; a failed one is followed by another
    sequence: int = 0  # rises with each batch, so that a lost process cannot write any more
    pending: dict[str, Any] = field(default_factory=dict)  # a batch that is being removed

    @property
    def is_done(self) -> bool:
        """Whether the project is gone."""
        return self.finished_at > 0

    def as_dict(self) -> dict[str, Any]:
        """For the API's answers."""
        hidden = {"flow_run_id", "attempt", "sequence", "pending"}
        shown = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: shown[name] for name in shown if name not in hidden} | {
            "is_done": self.is_done
        }


def with_counts(counts: dict[str, int], more: dict[str, int]) -> dict[str, int]:
    """The sum of both."""
    return {name: counts.get(name, 0) + more.get(name, 0) for name in {**counts, **more}}
