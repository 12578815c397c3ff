"""The OpenAPI document is whole, true to the routes, and readable by everybody."""

import json
from contextlib import nullcontext
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from contracts import request_schemas
from contracts.collection import parse_change, parse_links
from contracts.errors import ExemplarError
from contracts.feedback import FeedbackRequest
from contracts.limits import Limits
from contracts.manifest import Kind
from contracts.project_settings import parse_settings
from contracts.requests import CreateProject, TrainRequest, UploadRequest, parse_rollback
from deployments.template import Template
from lambdas import openapi
from lambdas.openapi import PARAMETERS, Route
from lambdas.openapi_components import Components
from lambdas.routes.description import Description, description_of

HINT = """
{module}.{name} ({method} {rule}) is not described. Write beneath its @router line

    @described(answers={{200: answers.SOMETHING}})

with a function of lambdas/answers.py that gives the JSON Schema of what it answers, such as

    def something() -> Schema:
        return schema.record("Something", {{"project": name(), "dollars": schema.number()}})

and, where they apply, body=request_schemas.SOMETHING for the JSON that it reads, refuses=(409,) for
statuses beyond 400, 401, 403, 404, 413, 429, 500 and 503, and query={{"month": schema.text()}}.
"""


def told(route: Route) -> Description:
    found = description_of(route.handler)
    assert found, HINT.format(
        module=route.handler.__module__,
        name=route.handler.__name__,
        method=route.method,
        rule=route.rule,
    )
    return found


def each_route() -> Any:
    return pytest.mark.parametrize(
        "route", openapi.routes(), ids=lambda route: f"{route.method} {route.path}"
    )


@each_route()
def test_every_route_is_described(route: Route) -> None:
    found = told(route)
    assert found.answers, HINT
    assert all(200 <= status < 300 for status in found.answers)
    assert all(400 <= status < 600 for status in found.refuses)
    assert route.handler.__doc__, f"{route.handler.__name__} needs a docstring"
    for name in route.parameters:
        assert name in PARAMETERS, f"say in lambdas.openapi.PARAMETERS what {name!r} looks like"


@each_route()
def test_what_reads_a_body_says_so(route: Route) -> None:
    """A handler that asks for JSON has a schema with an example, and one that does not has none."""
    reads = "json_body" in route.handler.__code__.co_names
    assert reads == (told(route).body is not None), HINT


def bodies() -> list[tuple[str, dict[str, Any]]]:
    limits = Limits()
    found = []
    for route in openapi.routes():
        description = description_of(route.handler)
        if description and (body := description.body):
            schema = body(limits) if callable(body) else body
            found.append((f"{route.method} {route.path}", schema))
    return found


@pytest.mark.parametrize(
    "schema", [body for _, body in bodies()], ids=[name for name, _ in bodies()]
)
def test_a_body_is_closed_and_its_example_fits(schema: dict[str, Any]) -> None:
    assert schema["additionalProperties"] is False, "wrap it as request_schemas does"
    for example in schema["examples"]:
        Draft202012Validator(schema).validate(example)


def test_a_body_has_exactly_the_fields_that_are_read(call: Any) -> None:
    call("POST", "/v1/projects", {"name": "fields", "kind": "image", "classes": ["a", "b"]})
    for route in openapi.routes():
        body = told(route).body
        if not body:
            continue
        schema = body(Limits()) if callable(body) else body
        path = route.path.format(name="fields", **dict.fromkeys(PARAMETERS.keys() - {"name"}, "x"))
        assert allowed(call, route.method, path, schema["examples"][0]) == set(schema["properties"])


def test_an_announced_file_has_exactly_the_fields_that_are_read(call: Any) -> None:
    schema = request_schemas.announce_upload(Limits())["properties"]["files"]["items"]
    with pytest.raises(ExemplarError) as refusal:
        UploadRequest.parse({"files": [PICTURE | {"unknown-field": 1}]}, Limits())
    assert fields_in(refusal.value.fix) == set(schema["properties"])


def allowed(call: Any, method: str, path: str, body: dict[str, Any]) -> set[str]:
    status, answer = call(method, path, body | {"unknown-field": 1})
    assert status == 400, answer
    return fields_in(answer["error"]["fix"])


def fields_in(fix: str) -> set[str]:
    return set(fix.removeprefix("allowed are: ").split(", "))


def test_the_document_is_valid_openapi_and_as_served(call: Any) -> None:
    status, served = call("GET", "/v1/openapi.json")
    assert (status, served) == (200, json.loads(json.dumps(openapi.document())))
    OpenAPIV31SpecValidator(served).validate()
    assert served["openapi"].startswith("3.1")
    identities = [
        operation["operationId"]
        for item in served["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict)
    ]
    assert len(set(identities)) == len(identities)


def test_public_calls_are_those_that_the_gateway_lets_through() -> None:
    public = {f"{route.method} {route.path}" for route in openapi.routes() if told(route).is_public}

    opened = {
        resource["Properties"]["RouteKey"]
        for resource in Template.load().resources.values()
        if resource["Type"] == "AWS::ApiGatewayV2::Route"
        and resource["Properties"]["AuthorizationType"] == "NONE"
    }
    assert opened == public | {"OPTIONS /{proxy+}", "GET /", "GET /page/{proxy+}"}


def test_limits_of_this_system_are_in_its_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXEMPLAR_LIMIT_MAX_FILES_PER_REQUEST", "7")
    schemas = openapi.document()["components"]["schemas"]
    assert schemas["AnnounceUpload"]["properties"]["files"]["maxItems"] == 7


def test_two_schemas_of_one_name_are_noticed() -> None:
    components = Components()
    components.refer({"title": "A", "type": "string"})
    with pytest.raises(ValueError, match="titled 'A'"):
        components.refer({"title": "A", "type": "number"})


LIMITS = Limits()
PICTURE = {
    "class": "cat",
    "name": "a.png",
    "size_bytes": 9,
    "sha256": "0" * 64,
    "content_type": "image/png",
}


@pytest.mark.parametrize(
    ("schema", "parse", "body"),
    [
        (request_schemas.create_project, CreateProject.parse, body)
        for body in [
            {"name": "a", "kind": "image", "classes": ["cat", "dog"]},
            {"name": "a", "kind": "text"},
            {"name": "a" * 33, "kind": "text"},
            {"name": "a_b", "kind": "text"},
            {"name": "a", "kind": "video"},
            {"name": "a", "kind": "image", "classes": ["cat", 3]},
            {"name": "a", "kind": "image", "classes": ["cat", ""]},
            {"name": "a", "kind": "image", "classes": "cat"},
            {"kind": "text"},
            {"name": "a", "kind": "text", "user": "bob"},
            [],
            None,
        ]
    ]
    + [
        (request_schemas.announce_upload, UploadRequest.parse, body)
        for body in [
            {"files": [PICTURE]},
            {"files": [PICTURE], "upload": ""},
            {"files": [PICTURE], "upload": "../x"},
            {"files": []},
            {"files": [PICTURE] * 1_001},
            *(
                {"files": [PICTURE | change]}
                for change in (
                    {"split": None},
                    {"split": "test"},
                    {"split": "validation"},
                    {"size_bytes": 0},
                    {"size_bytes": 1.5},
                    {"size_bytes": True},
                    {"size_bytes": 2**40},
                    {"sha256": "A" * 64},
                    {"name": ""},
                    {"name": "n" * 513},
                    {"content_type": "text/html"},
                    {"content_type": ["image/png"]},
                    {"text_column": "c" * 129},
                    {"path": "/etc"},
                )
            ),
        ]
    ]
    + [
        (request_schemas.train, lambda body, _limits: TrainRequest.parse(body), body)
        for body in [
            {},
            {"model": "hf:google/vit-base-patch16-224", "upload": "", "recipe": {"epochs": 3}},
            {"model": ""},
            {"model": "../x"},
            {"model": 3},
            {"recipe": {}},
            {"recipe": ""},
            {"recipe": {"../x": 1}},
            {"recipe": {"epochs": [1]}},
            {"recipe": {f"v{n}": n for n in range(41)}},
            {"seed": -1},
            {"seed": 2**31},
            {"budget_seconds": 9},
            {"tune": 201},
            {"again": 1},
            {"with_feedback": False, "as_before": True},
            {"with_feedback": None},
            {"check_only": True},
            {"check_only": 1},
            {"as_before": "yes"},
        ]
    ]
    + [
        (request_schemas.change_examples, lambda body, _limits: parse_change(body), body)
        for body in [
            {"remove": [{"sha256": "a" * 64, "class": "cat"}]},
            {"remove": [{"sha256": "a" * 64, "class": ""}]},
            {"remove": [{"sha256": "a" * 64, "class": "cat", "name": "a"}]},
            {"remove": [{"sha256": "a" * 64}]},
            {"remove": []},
            {"remove": {}},
            {"move": [{"sha256": "a" * 64, "class": "cat", "to": "dog"}]},
            {"move": [{"sha256": "a" * 64, "class": "", "to": "dog"}]},
            {"move": [{"sha256": "a", "class": "cat", "to": "dog"}]},
            {"move": [{"sha256": "a" * 64, "class": "cat", "to": "x" * 65}]},
            {"rename": {"class": "cat", "to": "dog"}},
            {"rename": {"class": "cat", "to": "dog", "merge": True}},
            {"rename": {"class": "cat", "to": "dog", "merge": 1}},
            {"rename": {"class": "cat"}},
            {"rename": ["cat", "dog"]},
            {"drop_class": "cat"},
            {"drop_class": ""},
            {"add_class": 5},
            {"forget_missing": True},
            {"forget_missing": False},
            {"forget_missing": 1},
            {"forget_missing": None},
            {"add_class": "a", "drop_class": "b"},
            {"clear": True},
            {},
        ]
    ]
    + [
        (request_schemas.link_examples, lambda body, _limits: parse_links(body), body)
        for body in [
            {"sha256": ["a" * 64]},
            {"sha256": []},
            {"sha256": ["A" * 64]},
            {"sha256": "a" * 64},
            {"sha256": ["a" * 64] * 201},
            {},
        ]
    ]
    + [
        (request_schemas.change_project, lambda body, _limits: parse_settings(body), body)
        for body in [
            {"approval": True, "retrain": {"every_days": 30}},
            {"retrain": {}},
            {"retrain": None},
            {"retrain": {"every_days": 366}},
            {"retrain": {"on_drift": 1}},
            {"retrain": {"often": True}},
        ]
    ]
    + [
        (
            request_schemas.give_feedback,
            lambda body, limits: FeedbackRequest.parse(body, Kind.IMAGE, limits),
            {"label": "cat", "sha256": "0" * 64} | change,
        )
        for change in [
            {},
            {"size_bytes": 9, "content_type": "image/png"},
            {"answered": "dog", "model_version": "m-1", "day": ""},
            {"answered": None, "model_version": None},
            {"label": None},
            {"label": ""},
            {"sha256": "A" * 64},
            {"request_id": "r-1"},
            {"size_bytes": -1},
            {"size_bytes": 2**40},
            {"content_type": "t" * 65},
            {"answered": 5},
            {"model_version": "../x"},
            {"day": "yesterday"},
            {"user": "bob"},
        ]
    ]
    + [
        (request_schemas.change_project, lambda body, _limits: parse_settings(body), body)
        for body in [
            {"approval": True},
            {"approval": 1},
            {"log_requests": 0},
            {"log_requests": 0.5},
            {"log_requests": 2},
            {"endpoint_auth": "iam"},
            {"endpoint_auth": "none"},
            {"fetch_urls": True},
            {"fetch_urls": "yes"},
            {"requests_per_minute": None},
            {"requests_per_minute": 0},
            {"retrain": {}},
            {"retrain": {"every_days": 366}},
            {"retrain": {"never": True}},
        ]
    ]
    + [
        (request_schemas.roll_back, lambda body, _limits: parse_rollback(body), body)
        for body in [{}, {"model_version": ""}, {"model_version": "a/b"}, {"version": "a"}]
    ],
)
def test_schema_and_parser_agree(schema: Any, parse: Any, body: Any) -> None:
    is_valid = Draft202012Validator(schema(LIMITS)).is_valid(body)
    with nullcontext() if is_valid else pytest.raises(ExemplarError):
        parse(body, LIMITS)
