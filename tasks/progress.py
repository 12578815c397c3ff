"""A job's state in DynamoDB while flows work on it; the page and command line read only that."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from contracts.errors import Conflict, ExemplarError
from contracts.identity import Project
from contracts.status import Job, JobState, Stage, overall_progress
from tasks import clients

_MIN_INTERVAL_SECONDS = 0.5
_MAX_ATTEMPTS = 5


class JobCancelled(Conflict):
    """The job was cancelled while it was being worked on."""

    code = "cancelled"


@dataclass
class Progress:
    """Reports on one job. Without a job id (a flow run by hand) it reports to the log only."""

    project: Project
    job_id: str = ""
    current: Stage = Stage.QUEUED
    _last: float = field(default=0.0, repr=False)
    _said: str = field(default="", repr=False)

    @contextmanager
    def stage(self, stage: Stage, message: str) -> Iterator[None]:
        """Enter a stage; its duration is recorded when it ends well."""
        started = time.monotonic()
        self.current = stage
        self._set(stage=stage, message=message, progress=overall_progress(stage, 0.0))
        yield
        if self.job_id:
            durations = self.job().stage_seconds
            durations[stage.value] = round(time.monotonic() - started, 2)
            self._set(stage_seconds=durations)

    def within(self, stage: Stage, fraction: float, message: str = "", **changes: Any) -> None:
        """Report how far a stage is, 0..1. Reports that follow too quickly are dropped."""
        now = time.monotonic()
        if not changes and now - self._last < _MIN_INTERVAL_SECONDS:
            return
        self._last = now
        if message:
            changes["message"] = message
        self._set(progress=overall_progress(stage, fraction), stage=stage, **changes)

    def record(self, **changes: Any) -> None:
        """Set fields of the job."""
        self._set(**changes)

    def serving(self, model_version: str, endpoint: str, metrics: dict[str, Any]) -> None:
        """Note that the endpoint answers with this model; the first time, how long that took."""
        if not self.job_id:
            return
        changes: dict[str, Any] = {"model_version": model_version, "endpoint": endpoint}
        changes |= {f"metrics.{name}": value for name, value in metrics.items()}
        job = self.job()
        if job.draft_seconds is None:
            changes["draft_seconds"] = round(time.time() - job.created_at, 2)
        self._set(**changes)

    def epoch(self, result: dict[str, Any], fraction: float, message: str) -> None:
        """Add one finished epoch; an epoch that a resumed training repeats replaces the old one."""
        earlier = self.job().metrics.get("epochs", []) if self.job_id else []
        epochs = [e for e in earlier if e["epoch"] < result["epoch"]] + [result]
        self.within(Stage.TRAIN, fraction, message, **{"metrics.epochs": epochs})

    def finish(self) -> None:
        """The job has done what it was for; its last message is the reason of the last decision."""
        self._set(state=JobState.DONE, stage=Stage.DONE, progress=1.0)

    def job(self) -> Job:
        """The job as stored."""
        return clients.state().job(self.project, self.job_id)

    def _set(self, **changes: Any) -> None:
        message = changes.get("message", self._said)
        if message != self._said:
            self._said = message
            get_run_logger().info(message)
        if not self.job_id:
            return
        changes.setdefault("state", JobState.RUNNING)
        if not clients.state().update_job(self.project, self.job_id, **changes):
            raise JobCancelled("the job has ended: no more work is done on it")


@contextmanager
def job_outcome(progress: Progress) -> Iterator[None]:
    """Whatever ends the pipeline badly becomes a reason a person can read; then it goes on up."""
    try:
        _bound_attempts()
        yield
    except JobCancelled:
        raise
    except ExemplarError as error:
        _fail(progress, error)
        raise
    except TimeoutError as error:
        slow = ExemplarError(
            f"the step '{progress.current.value}' took longer than it may: {error}",
            fix="start it again, it goes on where it stopped; or train on fewer examples",
        )
        _fail(progress, slow)
        raise
    except Exception as error:
        hidden = ExemplarError(
            f"the training stopped because of an unexpected {type(error).__name__}",
            fix=f"start it again; the details are in the log of flow run {flow_run.get_id()}",
        )
        _fail(progress, hidden)
        raise


def _bound_attempts() -> None:
    """A lost pipeline is queued again by itself; one that loses every process must not loop."""
    if (flow_run.get_run_count() or 0) > _MAX_ATTEMPTS:
        raise ExemplarError(
            f"the pipeline lost its process {_MAX_ATTEMPTS} times",
            fix="start it again; steps that ended are not repeated",
        )


def _fail(progress: Progress, error: ExemplarError) -> None:
    if progress.job_id:
        clients.state().update_job(
            progress.project,
            progress.job_id,
            state=JobState.FAILED,
            message=error.message,
            failure=error.as_dict()["error"],
        )
