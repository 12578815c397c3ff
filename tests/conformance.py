"""Whether answers are what the OpenAPI document says, nothing missing and nothing more."""

import re
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from lambdas import openapi

JSON = "application/json"


def check_answer(method: str, path: str, status: int, body: Any) -> None:
    """Fail when a described call answers anything that the document lacks."""
    operation = _operation(method, path)
    if operation is None:  # an unknown call, or a route that test_openapi.py reports
        return
    call = f"{method} {path}"
    known = operation["responses"]
    assert str(status) in known, (
        f"{call} answered {status}, which is described nowhere: add it to `answers` or `refuses` "
        f"of the handler's @described({', '.join(known)} are known)"
    )
    _check(known[str(status)]["content"][JSON]["schema"], body, f"{call} answered {status} with")


def is_described(method: str, path: str) -> bool:
    """Whether the document knows the call."""
    return _operation(method, path) is not None


def _operation(method: str, path: str) -> dict[str, Any] | None:
    for template, item in _document()["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            found: dict[str, Any] | None = item.get(method.lower())
            if found and any(key in {"200", "201", "202"} for key in found["responses"]):
                return found
    return None


def _check(schema: dict[str, Any], body: Any, what: str) -> None:
    whole = schema | {"components": _document()["components"]}
    problem = best_match(Draft202012Validator(whole).iter_errors(body))
    assert problem is None, (
        f"{what} a body that lambdas/answers.py does not describe, at {problem.json_path}: "
        f"{problem.message[:400]}"
    )


@cache
def _document() -> dict[str, Any]:
    document = openapi.document()
    _close(document["components"])
    return document


def _close(part: Any) -> None:
    """Records stay open for the future in the document; here a field too many is a lag of it."""
    if isinstance(part, dict):
        if isinstance(part.get("properties"), dict):
            part.setdefault("additionalProperties", False)
        for value in part.values():
            _close(value)
    elif isinstance(part, list):
        for value in part:
            _close(value)
