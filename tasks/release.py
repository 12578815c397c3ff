"""Putting a bundle behind its endpoint: function, version, smoke test, alias `live`."""

from dataclasses import dataclass

from prefect import task

from contracts.errors import Unavailable
from contracts.identity import Project
from tasks import inference_function, smoke


@dataclass(frozen=True)
class Release:
    """What serves now."""

    lambda_version: str
    endpoint: str


# Retries: Lambda refuses changes while it still works on the last one, and S3 may stumble.
# Every step may be repeated; until the alias moves, the old version serves.
@task(retries=2, retry_delay_seconds=[2, 5])
def release(project: Project, model_version: str, dataset_version: str) -> Release:
    """Publish the bundle as a function version, try it, and move `live` to it.

    Raises `Unavailable` when the new version fails its smoke test; `live` is then where it was.
    """
    questions = smoke.questions(project, dataset_version)
    version = inference_function.publish(project, model_version)
    for question in questions:
        smoke.ask_version(project, version, model_version, question)
    before = inference_function.live_version(project)
    endpoint = inference_function.point_live_at(project, version)
    try:
        smoke.ask_endpoint(project, endpoint, model_version, questions[0])
    except Unavailable:
        if before:
            inference_function.point_live_at(project, before)
        raise
    inference_function.prune_versions(project)
    return Release(version, endpoint)
