"""A job's state as the page and the command line see it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from contracts.identity import Project


class JobState(StrEnum):
    """Where a job stands; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self in {JobState.DONE, JobState.FAILED, JobState.CANCELLED}


class ApprovalState(StrEnum):
    """How the question whether a model may be released stands."""

    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"


class Stage(StrEnum):
    """The steps of the pipeline, in order."""

    QUEUED = "queued"
    INGEST = "ingest"
    PREPARE = "prepare"
    DRAFT = "draft"
    PROMOTE_DRAFT = "promote-draft"
    TRAIN = "train"
    PROMOTE = "promote"
    DONE = "done"


# Overall progress at which each stage begins; the next one's start is its end.
STAGE_START: dict[Stage, float] = {
    Stage.QUEUED: 0.0,
    Stage.INGEST: 0.02,
    Stage.PREPARE: 0.07,
    Stage.DRAFT: 0.12,
    Stage.PROMOTE_DRAFT: 0.20,
    Stage.TRAIN: 0.25,
    Stage.PROMOTE: 0.93,
    Stage.DONE: 1.0,
}


def overall_progress(stage: Stage, within: float) -> float:
    """Progress of the whole job, 0..1, from that within a stage, 0..1."""
    stages = list(STAGE_START)
    start = STAGE_START[stage]
    end = STAGE_START[stages[min(stages.index(stage) + 1, len(stages) - 1)]]
    return start + (end - start) * min(max(within, 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class Job:
    """One training job. Times are seconds since the epoch, `stage_seconds` durations."""

    project: Project
    job_id: str
    upload: str
    kind: str = ""  # of the project's examples
    state: JobState = JobState.QUEUED
    stage: Stage = Stage.QUEUED
    progress: float = 0.0
    message: str = ""
    model: str = ""
    recipe: str = ""
    seed: int = 0
    created_at: float = 0.0
    updated_at: float = 0.0
    flow_run_id: str = ""
    dataset_version: str = ""
    model_version: str = ""
    endpoint: str = ""
    draft_seconds: float | None = None
    dollars: float | None = None  # so far, by list prices; None where nothing is billed
    estimate: dict[str, Any] = field(default_factory=dict)  # of `contracts.estimate.Estimate`
    stage_seconds: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    decision: dict[str, Any] = field(default_factory=dict)
    approval: dict[str, Any] = field(default_factory=dict)  # `state`, who and when, once asked for
    failure: dict[str, Any] = field(default_factory=dict)  # {"code", "message", "fix"[, "details"]}

    def as_dict(self) -> dict[str, Any]:
        """For the API's answers."""
        out = {name: getattr(self, name) for name in self.__dataclass_fields__}
        out["project"] = self.project.name
        return out
