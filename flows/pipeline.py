"""The whole chain, from an upload to a promoted endpoint."""

from prefect import flow

from contracts.identity import Project
from flows.draft import draft
from flows.ingest import ingest
from flows.prepare import prepare
from flows.promote import promote
from tasks.heartbeats import parent_heartbeat_only
from tasks.preload import preload
from tasks.progress import Progress, job_outcome
from tasks.remote_training import await_training, resolved, start_training


@flow
def pipeline(
    user: str,
    project: str,
    upload: str,
    job_id: str = "",
    model: str = "",
    recipe: str = "balanced",
    seed: int = 0,
    budget_seconds: int = 3_600,
    min_per_class: int = 0,
    tune: int = 0,
) -> None:
    """Ingest, prepare, draft, promote the draft, train, promote the trained model."""
    progress = Progress(Project(user, project), job_id)
    with job_outcome(progress), parent_heartbeat_only():
        model = resolved(progress, model, recipe)
        preload("sklearn.linear_model", "scipy.optimize")  # for the draft, while S3 answers
        frozen = ingest(user, project, upload, seed, job_id)
        dataset = prepare(user, project, frozen, job_id, min_per_class)
        drafted = draft(user, project, dataset, model, job_id)
        # The machine for training starts while the draft is being promoted.
        training = start_training(progress, dataset, model, recipe, seed, budget_seconds, tune)
        promote(user, project, drafted, dataset, job_id, is_draft=True)
        trained = await_training(progress, training)
        promote(user, project, trained, dataset, job_id)
        progress.finish()
