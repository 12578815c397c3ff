"""What a training leaves for the pipeline, readable without loading torch."""

import hashlib
import json

from contracts.errors import NotFound
from contracts.identity import Project
from contracts.keys import ProjectKeys
from tasks import storage

RESULT = "result.json"


def training_id(
    dataset_version: str, model: str, recipe: str, seed: int, job_id: str, tune: int = 0
) -> str:
    """Names a training's checkpoints; every attempt of one job continues the same training."""
    text = f"{dataset_version}|{model}|{recipe}|{seed}|{job_id}"
    if tune:
        text += f"|tune {tune}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def trained_version(project: Project, training: str) -> str | None:
    """The model version a finished training left, or None."""
    try:
        document = json.loads(storage.get(ProjectKeys(project).checkpoint(training, RESULT)))
    except NotFound:
        return None
    return str(document["model_version"])


def record_version(project: Project, training: str, model_version: str) -> None:
    """Say that a training has ended with this bundle."""
    key = ProjectKeys(project).checkpoint(training, RESULT)
    storage.put_json(key, {"model_version": model_version})
