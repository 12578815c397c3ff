"""A release under way: from the first call that the new version may get to the record of it.

Whoever finds one whose promotion died can put everything back as the project's record has it.
"""

import time
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum

from contracts.identity import Project
from lambdas.table import Key, Table

STALE_SECONDS = 60.0  # without a sign of life


class Step(StrEnum):
    """How far a release has come."""

    CANARY = "canary"  # a share of the calls goes to the new version
    SHIFT = "shift"  # the alias moves


@dataclass(frozen=True, slots=True)
class Rollout:
    """Which promotion is bringing which version; times are seconds since the epoch."""

    promotion: str
    model_version: str
    lambda_version: str
    step: Step
    started_at: float
    seen_at: float  # when the promotion last gave a sign of life

    def is_of(self, run: str) -> bool:
        """Whether this job, or flow run, has begun it."""
        return self.promotion.rpartition(":")[0] == run

    def is_stale(self, now: float) -> bool:
        """Whether its promotion has died, as far as can be told."""
        return now - self.seen_at > STALE_SECONDS


class Rollouts:
    """At most one a project."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, project: Project) -> Rollout | None:
        """The release under way, if there is one."""
        item = self._table.get(rollout_key(project))
        if item is None:
            return None
        values = {field.name: item[field.name] for field in fields(Rollout)}
        return Rollout(**values | {"step": Step(item["step"])})

    def put(self, project: Project, rollout: Rollout) -> Rollout:
        """Announce it, or its next step; returns it as stored. Call it under the lease."""
        rollout = replace(rollout, seen_at=time.time())
        self._table.put(rollout_key(project), asdict(rollout))
        return rollout

    def keep(self, project: Project, promotion: str) -> bool:
        """Give a sign of life; False if it has been ended by somebody else."""
        found = self.find(project)
        if found is None or found.promotion != promotion:
            return False
        return self._table.update(rollout_key(project), {"seen_at": time.time()})

    def end(self, project: Project) -> None:
        """There is none any more. Call it under the lease."""
        self._table.delete(rollout_key(project))


def promotion_name(run: str, model_version: str) -> str:
    """One promotion, however often it is tried: `run` is the job, or the flow run without one."""
    return f"{run}:{model_version}"


def rollout_key(project: Project) -> Key:
    """Where it lies, for what ends it together with other changes."""
    return f"PROJECT#{project.slug}", "ROLLOUT"
