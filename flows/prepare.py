"""Turn a frozen upload into a data set that can be trained on."""

from prefect import flow

from contracts.identity import Project
from contracts.status import Stage
from tasks.datasets import prepare_version
from tasks.progress import Progress


@flow(timeout_seconds=3_600)
def prepare(
    user: str, project: str, frozen_version: str, job_id: str = "", min_per_class: int = 0
) -> str:
    """Check every example, group duplicates, split, report; return the dataset version."""
    owner = Project(user, project)
    progress = Progress(owner, job_id)
    with progress.stage(Stage.PREPARE, "checking every example"):
        return prepare_version(owner, frozen_version, progress, min_per_class)
