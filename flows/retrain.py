"""Train a project anew because of something that happened."""

from typing import Literal

from prefect import flow

from contracts.identity import Project
from contracts.retraining import Cause
from tasks.retraining import start_retraining


@flow(timeout_seconds=1_800)
def retrain(user: str, project: str, cause: Literal["labels", "drift", "schedule"]) -> str:
    """Start a training with what is new, if the project's owner wants that; return the job."""
    return start_retraining(Project(user, project), Cause(cause))
