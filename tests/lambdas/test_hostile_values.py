"""Every field of every call with values that were made to break out, break down or mislead.

Fields and calls come from the OpenAPI document, so a new route is attacked from its first day.
"""

import base64
import copy
import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import boto3
import pytest
from jsonschema import Draft202012Validator

from contracts.identity import Project
from contracts.manifest import Kind
from lambdas import api, environment, openapi
from lambdas.endpoint_description import paths as endpoint_paths
from lambdas.openapi_components import Components
from lambdas.state import ProjectRecord
from tests.deployments.api_server import create_ingest

USER, OTHER, NAME = "ann", "bob", "shop"
JSON = "application/json"

TEXTS = (
    *(
        "../../../bob/shop",
        "%2e%2e%2f",
        "%00",
        "a\\b",
        "a\x00b",
        "a\n",
        "\u202eabc",
        "\u0000\ufeff",
    ),
    *("a_b", "PROJECT#bob_x", "ａｎｎ", "аnn", "ſhop", "$ne", "' OR 1=1 --", "${jndi:x}"),
    *("x" * 100_000, "😀" * 65),
)
PATHS = (
    *TEXTS,
    *("../", "..", "..%2f", "..;/", "a/b", ".", "\x00", "A", " ", "-", "users/bob/shop", "{{7*7}}"),
    "é" * 40_000,
)
OTHERS: tuple[Any, ...] = (
    *([], ["a"], [[]], {}, {"$ne": ""}, None, True, 0, -1, 1.5, 2**63, 10**400, "0"),
)
# Values that no JSON writer of ours would send, in place of a mark.
RAW = (
    *("NaN", "-Infinity", "1e999", "9" * 5_000, '"\\ud800"', '"\\udc00a"', "01", "'a'", "nul"),
    *("[" * 10_000 + "]" * 10_000, '{"a":' * 10_000 + "1" + "}" * 10_000, '{"a": 1, "a": 2}'),
)
MARK = "@@mark@@"


@pytest.fixture(scope="module")
def ingest(emulator: Any, data_bucket: str, state_table: str) -> None:
    """The real function behind `train`."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": emulator.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            patch.setenv(name, value)
        create_ingest(
            "exemplar-ingest",
            {
                "EXEMPLAR_BUCKET": data_bucket,
                "EXEMPLAR_TABLE": state_table,
                "EXEMPLAR_PIPELINE": "pipeline/pipeline",
                "PREFECT_API_URL": "http://127.0.0.1:9/api",
            },
        )


def stored() -> dict[str, Any]:
    """Everything that there is, by key."""
    s3, found = environment.s3(), {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=environment.bucket()):
        found |= {entry["Key"]: entry["ETag"] for entry in page.get("Contents", [])}
    scan = boto3.client("dynamodb").get_paginator("scan")
    for page in scan.paginate(TableName=os.environ["EXEMPLAR_TABLE"], ConsistentRead=True):
        found |= {f"{item['pk']['S']} {item['sk']['S']}": item for item in page["Items"]}
    return found


def is_of_caller(key: str) -> bool:
    own = (f"users/{USER}/", f"USER#{USER} ", f"ACCOUNT#{USER} ", f"PROJECT#{USER}_")
    return key.startswith(own)


class Attack:
    """Sends one call after another and keeps what went wrong."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.problems: list[str] = []

    def send(self, path: str, body: str | bytes, what: str, may_succeed: bool = False) -> None:
        answer = api.handler(event(self.method, path, body), None)
        status, text = answer["statusCode"], answer["body"]
        allowed = range(200, 500) if may_succeed else range(400, 500)
        if status not in allowed:
            self.problems.append(f"{what[:120]} -> {status} {text[:300]}")
        elif status >= 400:
            error = json.loads(text.encode())["error"]  # which a gateway could send
            if not {"code", "message", "fix"} <= set(error) or len(text) > 8_000:
                self.problems.append(f"{what[:120]} -> {status} {text[:300]}")


def event(method: str, path: str, body: str | bytes) -> dict[str, Any]:
    is_text = isinstance(body, str)
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": JSON},
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": "127.0.0.1"},
            "stage": "$default",
            "authorizer": {"lambda": {"user": USER}},
        },
        "body": body if is_text else base64.b64encode(body).decode(),
        "isBase64Encoded": not is_text,
    }


def operations(wanted: str) -> list[Any]:
    own = endpoint_paths(Components())
    return [
        pytest.param(path, method.upper(), operation, id=f"{method.upper()} {path}")
        for path, item in openapi.document()["paths"].items()
        if path not in own
        for method, operation in item.items()
        if operation.get(wanted)
    ]


VALUES = {"name": NAME, "job_id": "0123456789abcdef", "version": "draft-1"}


def filled(path: str, **changed: str) -> str:
    values = VALUES | changed
    for part in parts(path):
        path = path.replace(f"{{{part}}}", values.get(part, "x"))
    return path


def parts(path: str) -> list[str]:
    return [part.partition("}")[0] for part in path.split("{")[1:]]


@pytest.fixture
def neighbours(ingest: None) -> Iterator[None]:
    """Projects of two users; nothing but what is the caller's may be other afterwards."""
    state = environment.state()
    for user in (USER, OTHER):
        state.table.delete((f"USER#{user}", f"PROJECT#{NAME}"))
        state.create_project(ProjectRecord(Project(user, NAME), Kind.IMAGE, ("cat", "dog")))
    before = {key: value for key, value in stored().items() if not is_of_caller(key)}
    yield
    after = {key: value for key, value in stored().items() if not is_of_caller(key)}
    assert after == before


@pytest.mark.parametrize(("path", "method", "operation"), operations("parameters"))
def test_no_part_of_a_path_leads_elsewhere(
    path: str, method: str, operation: dict[str, Any], neighbours: None
) -> None:
    attack, everything = Attack(method), stored()
    for part in parts(path):
        for text in PATHS:
            for spelt in {text[:8_000], quote(text[:2_000], safe="")}:
                attack.send(filled(path, **{part: spelt}), "{}", f"{part}={spelt!r}")
    assert attack.problems == []
    assert stored() == everything


@pytest.mark.parametrize(("path", "method", "operation"), operations("requestBody"))
def test_no_value_of_a_body_leads_elsewhere(
    path: str, method: str, operation: dict[str, Any], neighbours: None
) -> None:
    schema = operation["requestBody"]["content"][JSON]["schema"]
    document = openapi.document()
    whole = schema | {"components": document["components"]}
    name = schema["$ref"].rpartition("/")[2]
    example = document["components"]["schemas"][name]["examples"][0]
    valid, attack = Draft202012Validator(whole), Attack(method)
    for body in [*TEXTS, *OTHERS]:
        attack.send(filled(path), json.dumps(body), f"body={body!r}", valid.is_valid(body))
    for place in places(document, schema, example):
        for value in [*TEXTS, *OTHERS]:
            body = changed(example, place, value)
            may = valid.is_valid(body)
            attack.send(filled(path), json.dumps(body), f"{place}={value!r}", may_succeed=may)
        for raw in RAW:
            text = json.dumps(changed(example, place, MARK)).replace(f'"{MARK}"', raw)
            attack.send(filled(path), text, f"{place}={raw!r}")
    assert attack.problems == []


@pytest.mark.parametrize(("path", "method", "operation"), operations("requestBody"))
def test_what_is_no_json_object_is_refused(
    path: str, method: str, operation: dict[str, Any], neighbours: None
) -> None:
    attack, everything = Attack(method), stored()
    for body in [b"\xff\xfe", b"\x89PNG\r\n", b"{\x00}", "\ufeff{}", "{", "[]", "{} {}", '"a"']:
        attack.send(filled(path), body, repr(body))
    for raw in RAW:
        attack.send(filled(path), raw, raw)
        attack.send(filled(path), f'{{"unknown": {raw}}}', raw)
    assert attack.problems == []
    assert stored() == everything


def places(document: dict[str, Any], schema: dict[str, Any], example: Any) -> list[tuple[Any, ...]]:
    """Where in a body a value stands: every property, also those of objects in lists."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    found: list[tuple[Any, ...]] = []
    for name, inner in schema.get("properties", {}).items():
        found.append((name,))
        value = example.get(name) if isinstance(example, dict) else None
        if inner.get("type") == "array" and value:
            found.append((name, 0))
            found += [(name, 0, *rest) for rest in places(document, inner["items"], value[0])]
    return found


def changed(example: Any, place: tuple[Any, ...], value: Any) -> Any:
    body = copy.deepcopy(example)
    part = body
    for step in place[:-1]:
        part = part[step]
    part[place[-1]] = value
    return body
