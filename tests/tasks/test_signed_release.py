"""Releases of endpoints that are opened by signatures, on the emulator."""

import io
import zipfile
from typing import Any

import httpx
import pytest

from contracts.identity import Project
from contracts.manifest import Kind
from lambdas import live_alias
from lambdas.state import ProjectRecord
from tasks import clients, inference_function, smoke
from tasks.settings import settings

QUESTION = {"text": "hello"}
ANSWERS = """
import json
def handler(event, context):
    return {"statusCode": 200, "body": json.dumps({"label": "a", "model_version": "m1"})}
"""


def test_an_endpoint_is_released_as_its_owner_has_set_it(
    tasks_environment: pytest.MonkeyPatch, emulator: Any
) -> None:
    tasks_environment.setenv("EXEMPLAR_FUNCTION_URL_BASE", f"{emulator.endpoint}/_aws/lambda-url")
    settings.cache_clear()
    project, state = Project("ann", "signed-release"), clients.state()
    chosen = {"endpoint_auth": "iam", "requests_per_minute": 5}
    record = ProjectRecord(project, Kind.TEXT, ("a", "b"), settings=chosen)
    assert state.create_project(record)[1]
    name = project.function_name()
    make(name)
    endpoint = inference_function.serve(project, "1", None)
    assert httpx.post(endpoint, json=QUESTION).status_code == 403
    smoke.ask_endpoint(project, endpoint, "m1", QUESTION)
    assert access(project) == ("iam", 5)

    # Set back while nothing is released, the next release follows.
    state.update_project(project, settings={})
    seen = live_alias.read(clients.functions(), name)
    assert inference_function.serve(project, "1", seen) == endpoint
    assert httpx.post(endpoint, json=QUESTION).status_code == 200
    smoke.ask_endpoint(project, endpoint, "m1", QUESTION)
    assert access(project) == ("key", 0)


def make(name: str) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("app.py", ANSWERS)
    clients.functions().create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/inference",
        Handler="app.handler",
        Code={"ZipFile": archive.getvalue()},
        Publish=True,
    )


def access(project: Project) -> tuple[str, int]:
    item = clients.state().table.get((f"PROJECT#{project.slug}", "KEYS")) or {}
    assert not item.get("hashes")  # no key of the trial is left
    return item["endpoint_auth"], item["requests_per_minute"]
