"""Freeze an upload into a dataset version."""

from prefect import flow

from contracts.identity import Project
from contracts.status import Stage
from tasks.datasets import freeze_upload
from tasks.progress import Progress


@flow(timeout_seconds=3_600)
def ingest(user: str, project: str, upload: str, seed: int = 0, job_id: str = "") -> str:
    """Verify every announced object and freeze the list; return the dataset version."""
    owner = Project(user, project)
    progress = Progress(owner, job_id)
    with progress.stage(Stage.INGEST, "checking that everything arrived"):
        return freeze_upload(owner, upload, seed, progress)
