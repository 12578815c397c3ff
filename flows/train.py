"""Fine-tune a pretrained model on a dataset version."""

from prefect import flow

from contracts.identity import Project
from tasks.progress import Progress
from tasks.training import train_model


@flow
def train(
    user: str,
    project: str,
    dataset_version: str,
    model: str = "",
    recipe: str = "balanced",
    seed: int = 0,
    budget_seconds: int = 3_600,
    job_id: str = "",
    tune: int = 0,
) -> str:
    """Train, checkpoint every epoch, export, store the bundle; return the model version.

    With `tune`, so many variants of the recipe are tried first. Run again after a kill it goes on
    from its last trial or checkpoint.
    """
    owner = Project(user, project)
    progress = Progress(owner, job_id)
    return train_model(owner, dataset_version, model, recipe, seed, budget_seconds, progress, tune)
