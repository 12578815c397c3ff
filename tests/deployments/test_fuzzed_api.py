"""Schemathesis calls everything that the OpenAPI document describes, rightly and wrongly.

An answer of 5xx, an undescribed status or body, a wrong request that is taken, a call that does
without its credential: each is a failure. With `-m soak` it calls far more often.
"""

import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.identity import Project
from lambdas import environment, openapi, predict
from lambdas.credentials import Credentials
from models.bundle_writer import write_bundle
from tests.deployments.access_world import PICTURE, VALUES, delete_another, fill_project
from tests.deployments.api_server import ApiServer
from tests.http_function import served
from tests.serving.conftest import colour_card, colour_graph

CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_schema_conformance", "negative_data_rejection", "ignored_auth"),
)
# What is too large is refused as such.
CONFIGURATION = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 409, 413, 415, 422]
"""
COLOURS, KEY = Project("fuzz", "colours"), "xk_right"

often = pytest.mark.parametrize(
    ("examples", "seed"),
    [
        pytest.param(5, "1", id="everyday"),
        *(pytest.param(100, str(n), id=f"seed {n}", marks=pytest.mark.soak) for n in range(2, 5)),
    ],
)


@often
def test_the_control_api(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examples: int, seed: str
) -> None:
    for limit in ("MAX_CLASSES", "MAX_FILES_PER_REQUEST"):  # at which lists are tried
        monkeypatch.setenv(f"EXEMPLAR_LIMIT_{limit}", "5")
    user, token = f"fuzz-{seed}", f"token-of-fuzz-{seed}"  # others have the same emulator
    server.state.put_token(token, user, time.time() + 3_600)
    project = Project(user, VALUES["name"])
    fill_project(server.state, environment.s3(), server.bucket, project)
    delete_another(server.state, user)
    document = about_what_there_is(openapi.document())
    document["paths"] = {path: item for path, item in paths(document) if is_control(path)}
    fuzz(document, server.url, tmp_path, examples, seed, f"Authorization: Bearer {token}")


@pytest.fixture
def endpoint(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The real inference function."""
    write_bundle(tmp_path / "bundle", colour_card(rejection_threshold=-0.5), colour_graph())
    monkeypatch.setattr(predict, "BUNDLE", tmp_path / "bundle")
    monkeypatch.setenv("EXEMPLAR_USER", COLOURS.user)
    monkeypatch.setenv("EXEMPLAR_PROJECT", COLOURS.name)
    Credentials(server.table).put_key(COLOURS, KEY)
    caches = (predict.predictor, predict.key_check, predict._table)
    for cached in caches:
        cached.cache_clear()
    with served(predict.handler) as address:
        yield address
    for cached in caches:
        cached.cache_clear()


@often
def test_an_endpoint(endpoint: str, tmp_path: Path, examples: int, seed: str) -> None:
    document = openapi.document()
    document["paths"] = {path: item for path, item in paths(document) if not is_control(path)}
    picture = document["components"]["schemas"]["AskPicture"]["properties"]["image_base64"]
    picture["enum"] = [PICTURE, f"data:image/png;base64,{PICTURE}"]  # chance would paint none
    fuzz(document, endpoint, tmp_path, examples * 4, seed, f"x-api-key: {KEY}")


def is_control(path: str) -> bool:
    return path.startswith("/v1/")


def paths(document: dict[str, Any]) -> list[tuple[str, Any]]:
    return list(document["paths"].items())


def about_what_there_is(document: dict[str, Any]) -> dict[str, Any]:
    """With names that exist: chance would never find one. One project is there to be deleted."""
    known = copy.deepcopy(document)
    names = known["components"]["schemas"]["CreateProject"]["properties"]
    names["name"] = {"enum": [VALUES["name"], "gone"]}
    for item in known["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", []) if isinstance(operation, dict) else []:
                if value := VALUES.get(parameter["name"]):
                    parameter["schema"] = {"enum": [value]}
    (name, *_) = known["paths"]["/v1/projects/{name}"]["delete"]["parameters"]
    name["schema"] = {"enum": ["gone"]}
    return known


def fuzz(
    document: dict[str, Any],
    address: str,
    folder: Path,
    examples: int,
    seed: str,
    credential: str,
) -> None:
    path = folder / "openapi.json"
    path.write_text(json.dumps(document))
    (folder / "schemathesis.toml").write_text(CONFIGURATION)
    command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
    command += ["run", str(path), "--url", address, "--header", credential, "--seed", seed]
    command += ["--checks", ",".join(CHECKS), "--max-examples", str(examples)]
    command += ["--phases", "coverage,fuzzing", "--generation-database", "none"]
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
