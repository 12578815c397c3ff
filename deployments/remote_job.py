"""A training job as its API tells it, and what is left of it in the end."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from contracts.status import JobState


@dataclass(frozen=True, slots=True)
class RemoteJob:
    """The API's answer about a job; what each field means is said in `contracts.status.Job`."""

    project: str
    job_id: str
    state: JobState
    kind: str = ""  # of the project's examples
    stage: str = "queued"  # a newer server may know more stages
    progress: float = 0.0
    message: str = ""
    upload: str = ""
    created_at: float = 0.0
    updated_at: float = 0.0
    flow_run_id: str = ""
    dataset_version: str = ""
    model_version: str = ""
    endpoint: str = ""
    draft_seconds: float | None = None
    dollars: float | None = None
    estimate: dict[str, Any] = field(default_factory=dict)
    stage_seconds: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    decision: dict[str, Any] = field(default_factory=dict)
    failure: dict[str, Any] = field(default_factory=dict)
    feedback: dict[str, int] = field(default_factory=dict)  # said when it was started, not later

    @classmethod
    def from_answer(cls, answer: dict[str, Any]) -> "RemoteJob":
        """Take what is known and ignore what a newer server adds."""
        known = {f.name: answer[f.name] for f in fields(cls) if f.name in answer}
        return cls(**known | {"state": JobState(answer["state"])})


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a training brought. `accuracy` and `interval` (95 %) are 0..1, on the test set."""

    project: str
    job_id: str
    state: JobState
    dataset_version: str
    model_version: str
    stage_seconds: dict[str, float]
    draft_seconds: float | None
    dollars: float | None
    estimate: dict[str, Any]
    accuracy: float | None
    interval: tuple[float, float] | None
    sentence: str
    decision: dict[str, Any]
    endpoint: str
    failure: dict[str, Any]
    kind: str = ""
    baseline: float | None = None  # 0..1: what word counts alone reach on the validation part
    tuning: dict[str, Any] = field(
        default_factory=dict
    )  # what the search found, see docs/tuning.md

    @classmethod
    def of(cls, job: RemoteJob) -> "TrainResult":
        """The result so far; final when the job is."""
        interval = job.metrics.get("interval")
        return cls(
            project=job.project,
            job_id=job.job_id,
            state=job.state,
            dataset_version=job.dataset_version,
            model_version=job.model_version,
            stage_seconds=job.stage_seconds,
            draft_seconds=job.draft_seconds,
            dollars=job.dollars,
            estimate=job.estimate,
            accuracy=job.metrics.get("accuracy"),
            interval=(interval[0], interval[1]) if interval else None,
            sentence=str(job.metrics.get("sentence") or ""),
            decision=job.decision,
            endpoint=job.endpoint,
            failure=job.failure,
            kind=job.kind,
            baseline=job.metrics.get("baseline_validation_accuracy"),
            tuning=job.metrics.get("tuning") or {},
        )

    @property
    def is_failure(self) -> bool:
        """Whether it ended without a result."""
        return self.state in {JobState.FAILED, JobState.CANCELLED}

    def as_dict(self) -> dict[str, Any]:
        """For `--json`; `failure` is there only when there is one."""
        document = asdict(self)
        if not self.failure:
            del document["failure"]
        return document
