"""Decisions as they are kept: a JSON document beside the bundle that they are about."""

import json
import time
from dataclasses import asdict
from typing import Any, Final

from contracts.errors import NotFound
from contracts.identity import Project
from contracts.keys import ProjectKeys
from models.champion import Check, Decision
from models.evaluation import Evaluation
from tasks import storage

SCHEMA_VERSION: Final = 1


def store(
    project: Project,
    candidate: Evaluation,
    champion: Evaluation | None,
    decision: Decision,
    promotion: str,
) -> None:
    """Keep the newest decision on this bundle and data set version."""
    earlier = _document(project, candidate) or {}
    is_same = champion is None and earlier.get("promotion") == promotion
    document = {
        "schema_version": SCHEMA_VERSION,
        "model_version": candidate.model_version,
        "dataset_version": candidate.dataset_version,
        "decided_at": time.time(),
        "promotion": promotion,
        "challenger": _score(candidate),
        "champion": earlier["champion"] if is_same else _score(champion),
        "decision": asdict(decision),
    }
    storage.put_json(_key(project, candidate), document)


def stored(project: Project, candidate: Evaluation) -> Decision | None:
    """The newest decision on this bundle and data set version, if it was kept."""
    document = _document(project, candidate)
    if document is None:
        return None
    values = document["decision"]
    return Decision(**values | {"checks": tuple(Check(**check) for check in values["checks"])})


def _document(project: Project, candidate: Evaluation) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = json.loads(storage.get(_key(project, candidate)))
    except NotFound:
        return None
    return document


def _key(project: Project, candidate: Evaluation) -> str:
    return ProjectKeys(project).decision(candidate.model_version, candidate.dataset_version)


def _score(evaluation: Evaluation | None) -> dict[str, Any] | None:
    if evaluation is None:
        return None
    return {
        "model_version": evaluation.model_version,
        "correct": evaluation.correct,
        "test_examples": len(evaluation.truth),
        "accuracy": round(evaluation.accuracy, 6),
    }
