"""The OpenAPI 3.1 document of the control API and of the endpoints, made from the handlers."""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from contracts import request_schemas
from contracts.limits import Limits
from contracts.schema import Schema
from lambdas import answers, endpoint_description
from lambdas.openapi_components import Components
from lambdas.routes.description import Description, description_of
from lambdas.routes.exchange import router

# What the parts of a path look like, by the name that a rule gives them.
PARAMETERS: Final[dict[str, Callable[[], Schema]]] = {
    "name": lambda: request_schemas.name() | {"description": "A project's name."},
    "job_id": lambda: request_schemas.identifier("A job's id."),
    "receipt_id": lambda: request_schemas.identifier("A receipt's id."),
    "version": lambda: request_schemas.identifier("A model version."),
    "sha256": lambda: request_schemas.sha256("An example's."),
}

_FOR_ALL: Final = (429, 500, 503)
_WITH_TOKEN: Final = (401, 403)
# These may come from the gateway, before our code runs and in its form.
_GATEWAY: Final = frozenset({401, 403, 413, 429, 500, 503})


@dataclass(frozen=True, slots=True)
class Route:
    """A handler and where it is called."""

    rule: str  # such as /v1/projects/<name>
    method: str
    handler: Callable[..., object]

    @property
    def path(self) -> str:
        """Such as /v1/projects/{name}."""
        return re.sub(r"<(\w+)>", r"{\1}", self.rule)

    @property
    def parameters(self) -> list[str]:
        """Names of the path's variable parts."""
        return re.findall(r"<(\w+)>", self.rule)


def routes() -> list[Route]:
    """Every route of the control API, by path."""
    from lambdas import api  # noqa: F401 - late: it fills the router, and a route asks for this

    return sorted(_registered(), key=lambda route: (route.rule, route.method))


def document() -> dict[str, Any]:
    """The document as `GET /v1/openapi.json` answers it."""
    components, limits = Components(), Limits.from_environment()
    paths: dict[str, dict[str, Any]] = {}
    for route in routes():
        operation = _operation(route, limits, components)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Exemplar",
            "version": "1",
            "summary": "Labelled examples in, a private inference endpoint out.",
        },
        "servers": [{"url": "..", "description": "The address before /v1/openapi.json."}],
        "security": [{"token": []}],
        "paths": paths | endpoint_description.paths(components),
        "components": {
            "schemas": components.schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A user's token."}
            }
            | endpoint_description.SECURITY_SCHEMES,
        },
    }


def _registered() -> Iterator[Route]:
    # The router has no public list of what was registered.
    for (rule, methods, *_), handler in router._routes.items():
        for method in methods:
            yield Route(rule, method, handler)


def _operation(route: Route, limits: Limits, components: Components) -> dict[str, Any]:
    told = description_of(route.handler) or Description({})
    said = inspect.getdoc(route.handler) or ""
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "tags": [route.handler.__module__.rpartition(".")[2]],
        "summary": said.partition("\n\n")[0].replace("\n", " "),
        "description": said,
        "responses": _responses(route, told, components),
    }
    if told.is_public:
        operation["security"] = []
    if route.parameters or told.query:
        operation["parameters"] = [*_in_path(route), *_in_query(told)]
    if told.body:
        body = told.body(limits) if callable(told.body) else told.body
        operation["requestBody"] = {
            "required": not told.is_body_optional,
            "content": _json(components.refer(body)),
        }
    return operation


def _in_path(route: Route) -> Iterator[dict[str, Any]]:
    for name in route.parameters:
        found = PARAMETERS[name]() if name in PARAMETERS else {"type": "string"}
        yield {"name": name, "in": "path", "required": True, "schema": found}


def _in_query(told: Description) -> Iterator[dict[str, Any]]:
    for name, found in told.query.items():
        yield {"name": name, "in": "query", "required": False, "schema": found}


def _responses(route: Route, told: Description, components: Components) -> dict[str, Any]:
    found = {}
    for status, answer in told.answers.items():
        body = answer() if callable(answer) else answer
        found[str(status)] = _response(status, components.refer(body))
    error = components.refer(answers.error())
    either = {"anyOf": [error, components.refer(answers.gateway_refusal())]}
    for status in _refusals(route, told):
        found[str(status)] = _response(status, either if status in _GATEWAY else error)
    return dict(sorted(found.items()))


def _refusals(route: Route, told: Description) -> set[int]:
    statuses = {*_FOR_ALL, *told.refuses}
    if not told.is_public:
        statuses |= set(_WITH_TOKEN)
    if route.parameters:
        statuses |= {400, 404}
    if "name" in route.parameters:
        statuses |= {409}  # the project is being deleted
    if told.body:
        statuses |= {400, 413}
    if told.query:
        statuses |= {400}
    return statuses


def _response(status: int, body: Schema) -> dict[str, Any]:
    return {"description": HTTPStatus(status).phrase, "content": _json(body)}


def _json(body: Schema) -> dict[str, Any]:
    return {"application/json": {"schema": body}}
