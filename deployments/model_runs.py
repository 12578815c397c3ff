"""Model versions by the names that people give them, and all that is stored of their scores."""

import json
from collections.abc import Sequence
from typing import Any

from contracts.bundle import ModelCard
from contracts.errors import InvalidRequest, NotFound
from contracts.manifest import Manifest
from deployments.client import Exemplar
from models.comparison import Comparison, Run, compare
from models.evaluation import Evaluation

_LIVE, _DRAFT = "live", "draft"
_LISTED = 10


def compare_runs(client: Exemplar, project: str, words: Sequence[str]) -> Comparison:
    """Compare model versions of a project. Raises `NotFound` and `InvalidRequest`."""
    known = client.models(project)
    versions = [resolved(word, known, project) for word in words]
    for word, version in zip(words, versions, strict=True):
        if versions.count(version) > 1:
            raise InvalidRequest(
                f"{word!r} is {version!r}, which is named twice", fix="name every version once"
            )
    models = [client.model(project, version) for version in versions]
    chosen = [_evaluation_of(model, _common(models)) for model in models]
    runs = [
        _run(client, model, evaluation) for model, evaluation in zip(models, chosen, strict=True)
    ]
    names: dict[str, str] = {}
    for link in {entry["dataset_version"]: entry["manifest_url"] for entry in chosen}.values():
        manifest = Manifest.from_json(client.read_link(link))
        names |= {example.sha256: example.source for example in manifest.examples}
    return compare(runs, names)


def resolved(word: str, known: Sequence[dict[str, Any]], project: str) -> str:
    """The model version that a word means; `known` are the API's, newest first.

    Raises `NotFound` for none and `InvalidRequest` for several.
    """
    names = [str(model["model_version"]) for model in known]
    if not names:
        raise NotFound(
            f"project {project!r} has no models yet",
            fix=f"train it first: exemplar train FOLDER --project {project}",
        )
    if word == _LIVE:
        found = [str(model["model_version"]) for model in known if model["is_live"]]
    elif word == _DRAFT:
        found = [name for name in names if name.startswith(f"{_DRAFT}-")][:1]
    elif word in names:
        found = [word]
    else:
        found = [name for name in names if name.startswith(word) or _digest(name).startswith(word)]
    if not found:
        what = "is live" if word == _LIVE else f"begins with {word!r}"
        raise NotFound(
            f"no version {what}; there are: {_some(names)}", fix="name one of these, or 'live'"
        )
    if len(found) > 1:
        raise InvalidRequest(
            f"{len(found)} versions begin with {word!r}: {_some(found)}", fix="give more of it"
        )
    return found[0]


def _digest(name: str) -> str:
    return name.rpartition("-")[2]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _common(models: Sequence[dict[str, Any]]) -> str:
    """The data set version that all were scored on, the latest one; empty where there is none."""
    scored = [[entry["dataset_version"] for entry in model["evaluations"]] for model in models]
    return next((one for one in scored[0] if all(one in others for others in scored[1:])), "")


def _evaluation_of(model: dict[str, Any], wanted: str) -> dict[str, Any]:
    """On the wanted data set version, or else the latest."""
    entries: list[dict[str, Any]] = model["evaluations"]
    if not entries:
        raise NotFound(
            f"{model['model_version']!r} has not been scored yet",
            fix="wait for its training to end, or name another version",
        )
    return next((entry for entry in entries if entry["dataset_version"] == wanted), entries[0])


def _run(client: Exemplar, model: dict[str, Any], entry: dict[str, Any]) -> Run:
    card = ModelCard.from_json(client.read_link(model["card_url"]))
    recipe: dict[str, Any] = {"name": card.recipe, "backbone": card.backbone}
    seconds = None
    if model["training_url"]:
        record = json.loads(client.read_link(model["training_url"]))
        recipe, seconds = record["recipe"], record["seconds"]
    return Run(
        evaluation=Evaluation.from_json(client.read_link(entry["url"])),
        backbone=card.backbone,
        recipe=recipe,
        training_seconds=seconds,
        is_live=model["is_live"],
    )
