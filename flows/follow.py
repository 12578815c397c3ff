"""Tell the model registry what is live, after a rollback that could not do so itself."""

from prefect import flow

from contracts.identity import Project
from tasks.registry import follow_live


@flow(timeout_seconds=300)
def follow(user: str, project: str) -> str:
    """Let the registry's alias `champion` name the live version; return that version."""
    return follow_live(Project(user, project))
