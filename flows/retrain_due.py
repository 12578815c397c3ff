"""Train the projects that are due, and those whose events were lost."""

from prefect import flow
from prefect.futures import wait

from tasks.retraining import due_projects, start_retraining


@flow(timeout_seconds=3_000)
def retrain_due() -> list[str]:
    """Start a training for every project that is due; what one is refused stops no other."""
    started = [start_retraining.submit(project, cause) for project, cause in due_projects()]
    wait(started)
    return [one.result() for one in started if one.state.is_completed()]
