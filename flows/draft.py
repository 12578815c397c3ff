"""A first model within seconds: frozen features and a linear head."""

from prefect import flow

from contracts.identity import Project
from contracts.status import Stage
from tasks.drafting import draft_model
from tasks.progress import Progress


@flow(timeout_seconds=3_600)
def draft(user: str, project: str, dataset_version: str, model: str = "", job_id: str = "") -> str:
    """Fit a linear head on a frozen encoder's features; return the model version."""
    owner = Project(user, project)
    progress = Progress(owner, job_id)
    with progress.stage(Stage.DRAFT, "making a first draft"):
        return draft_model(owner, dataset_version, model, progress)
