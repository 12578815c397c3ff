"""`exemplar compare` over the API, with evaluations as promotion stores them."""

import json
from dataclasses import replace
from typing import Any

import pytest

from contracts.bundle import ModelCard, Preprocessing
from contracts.errors import InvalidRequest, NotFound
from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.manifest import Example, Kind, Manifest, Split
from deployments.client import Exemplar
from deployments.model_runs import resolved
from lambdas import environment
from models.evaluation import Evaluation
from tests.deployments.api_server import USER
from tests.deployments.command_line import Run

CLASSES = ("cat", "dog")


def manifest(project: str, start: int) -> Manifest:
    examples = tuple(
        Example(f"{i:064x}", i % 2, f"picture {i}.png", 100, Split.TEST)
        for i in range(start, start + 20)
    )
    return Manifest(Project(USER, project), Kind.IMAGE, CLASSES, examples)


def put(key: str, data: bytes) -> None:
    environment.s3().put_object(Bucket=environment.bucket(), Key=key, Body=data)


def store(project: str, recipe: str, wrong: set[int], start: int = 0) -> str:
    """A bundle's card and its answers to examples `start` to `start + 19`."""
    frozen, keys = manifest(project, start), ProjectKeys(Project(USER, project))
    card = ModelCard(
        Kind.IMAGE, CLASSES, Preprocessing(), frozen.version, "mobilenet_v2", recipe
    ).with_version()
    truth = tuple(example.class_index for example in frozen.examples)
    evaluation = Evaluation(
        card.model_version,
        frozen.version,
        CLASSES,
        tuple(example.sha256 for example in frozen.examples),
        truth,
        tuple(1 - t if start + i in wrong else t for i, t in enumerate(truth)),
        *[(0.9,) * 20] * 2,
        (False,) * 20,
        latency_ms=4.0,
        bundle_size_bytes=2**20,
    )
    put(keys.manifest(frozen.version), frozen.to_json())
    put(keys.bundle(card.model_version, "model.json"), card.to_json())
    put(keys.evaluation(card.model_version, frozen.version), evaluation.to_json())
    if recipe != "draft":
        values = {"name": recipe, "backbone": "mobilenet_v2", "epochs": 6}
        record = {"recipe": values, "seconds": 75.0}
        put(keys.training_record(card.model_version), json.dumps(record).encode())
    return card.model_version


def test_versions_are_compared_on_screen_and_as_json(
    run: Run, client: Exemplar, project: str
) -> None:
    client.create(project, ["cat", "dog"])
    store(project, "draft", {0, 1, 2, 3, 4, 5, 6})
    tuned = store(project, "tuned", {9})
    environment.state().update_project(Project(USER, project), model_version=tuned)
    shown = run("compare", "draft", "live", "--project", project)
    assert shown.code == 0, shown.err
    for text in (
        f"{tuned} (live)",
        "65.0% (13 of 20)",
        "95.0% (19 of 20)",
        "right on 6 more of the 20 test examples that both answered (7 won, 1 lost)",
        "1 min 15 s",
        "picture 9.png",
        "+40.0",  # four of ten cats
    ):
        assert text in shown.out
    document = run("compare", "draft", "live", "--project", project, "--json").document
    (difference,) = document["differences"]
    assert (difference["wins"], difference["losses"]) == (7, 1)
    assert difference["recipe"] == {"name": ["draft", "tuned"]}
    assert document["runs"][1]["training_seconds"] == 75


def test_other_splits_are_named_and_compared_where_they_overlap(
    run: Run, client: Exemplar, project: str
) -> None:
    client.create(project, ["cat", "dog"])
    store(project, "draft", {12, 13})
    store(project, "tuned", set(), start=10)
    shown = run("compare", "draft", "tuned", "--project", project)
    assert "different test splits" in shown.out
    assert "10 test examples are in both" in shown.out
    assert "(2 won, 0 lost)" in shown.out


def test_errors_say_what_there_is(run: Run, client: Exemplar, project: str) -> None:
    client.create(project, ["cat", "dog"])
    assert "no models yet" in run("compare", "draft", "live", "--project", project).err
    draft = store(project, "draft", set())
    shown = run("compare", "ab", "draft", "--project", project)
    assert shown.code == 1
    assert f"no version begins with 'ab'; there are: {draft}" in shown.err
    assert "no version is live" in run("compare", "draft", "live", "--project", project).err
    assert "named twice" in run("compare", "draft", draft, "--project", project).err
    assert "two or more" in run("compare", "draft", "--project", project).err


def test_a_word_means_one_version() -> None:
    names = ("tuned-9c01", "draft-77", "tuned-9c22", "draft-11")
    known: list[dict[str, Any]] = [
        {"model_version": name, "is_live": name == "draft-11"} for name in names
    ]
    for word, version in {
        "live": "draft-11",
        "draft": "draft-77",  # the newest
        "draft-1": "draft-11",
        "tuned-9c2": "tuned-9c22",
        "9c0": "tuned-9c01",  # without its first part
    }.items():
        assert resolved(word, known, "p") == version
    with pytest.raises(InvalidRequest, match="2 versions begin with 'tuned'"):
        resolved("tuned", known, "p")
    with pytest.raises(NotFound, match="no version begins with 'x'"):
        resolved("x", known, "p")


def test_an_unscored_version_says_so(client: Exemplar, run: Run, project: str) -> None:
    client.create(project, ["cat", "dog"])
    store(project, "draft", set())
    card = ModelCard(Kind.IMAGE, CLASSES, Preprocessing(), "d" * 64, "cnn", "tuned").with_version()
    card = replace(card, metrics={})
    keys = ProjectKeys(Project(USER, project))
    put(keys.bundle(card.model_version, "model.json"), card.to_json())
    assert "has not been scored yet" in run("compare", "draft", "tuned", "--project", project).err
