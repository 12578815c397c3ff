"""Model versions by what lies in storage, for their own tenant alone."""

import hashlib
from typing import Any

import httpx
import pytest

from contracts.identity import Project
from contracts.keys import ProjectKeys
from lambdas import environment

DATA = ("a" * 64, "b" * 64)


@pytest.fixture
def project(call: Any, request: pytest.FixtureRequest) -> str:
    name = "m-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]
    call("POST", "/v1/projects", {"name": name, "kind": "image", "classes": ["cat", "dog"]})
    return name


def store(project: str, version: str, *, whole: bool = True) -> None:
    keys = ProjectKeys(Project("ann", project))
    wanted = [keys.evaluation(version, data) for data in DATA]
    if whole:
        wanted += [keys.bundle(version, "model.json"), keys.training_record(version)]
    for key in wanted:
        environment.s3().put_object(Bucket=environment.bucket(), Key=key, Body=key.encode())


def test_versions_are_listed_with_what_they_were_scored_on(call: Any, project: str) -> None:
    path = f"/v1/projects/{project}/models"
    assert call("GET", path) == (200, {"models": []})
    store(project, "draft-1")
    store(project, "tuned-2")
    store(project, "tuned-3", whole=False)  # its model.json is yet to come
    environment.state().update_project(Project("ann", project), model_version="draft-1")
    status, answer = call("GET", path)
    assert status == 200
    live = {model["model_version"]: model["is_live"] for model in answer["models"]}
    assert live == {"draft-1": True, "tuned-2": False}
    for model in answer["models"]:
        assert {entry["dataset_version"] for entry in model["evaluations"]} == set(DATA)


def test_links_lead_to_the_version_that_was_asked_for(call: Any, project: str) -> None:
    store(project, "tuned-2")
    status, model = call("GET", f"/v1/projects/{project}/models/tuned-2")
    assert status == 200
    keys = ProjectKeys(Project("ann", project))
    assert httpx.get(model["card_url"]).text == keys.bundle("tuned-2", "model.json")
    assert httpx.get(model["training_url"]).text == keys.training_record("tuned-2")
    for entry in model["evaluations"]:
        expected = keys.evaluation("tuned-2", entry["dataset_version"])
        assert httpx.get(entry["url"]).text == expected
        assert keys.manifest(entry["dataset_version"]) in entry["manifest_url"]


def test_nobody_sees_anothers_versions(call: Any, project: str) -> None:
    store(project, "tuned-2")
    for path in (f"/v1/projects/{project}/models", f"/v1/projects/{project}/models/tuned-2"):
        assert call("GET", path, user="bob")[0] == 404
    # Bob's own project of the same name is another one.
    call(
        "POST",
        "/v1/projects",
        {"name": project, "kind": "image", "classes": ["cat", "dog"]},
        user="bob",
    )
    assert call("GET", f"/v1/projects/{project}/models", user="bob") == (200, {"models": []})
    assert call("GET", f"/v1/projects/{project}/models/tuned-2", user="bob")[0] == 404


@pytest.mark.parametrize("version", ["tuned-9", "UPPER", "..", "x%2F..%2Fy"])
def test_unknown_and_hostile_names_are_refused(call: Any, project: str, version: str) -> None:
    status, answer = call("GET", f"/v1/projects/{project}/models/{version}")
    assert status in {400, 404}
    assert answer["error"]["fix"]
