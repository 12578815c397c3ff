"""Answers in the form that a function URL passes on."""

from typing import Any

from contracts import strict_json


def response(status: int, body: dict[str, Any]) -> dict[str, Any]:
    """A JSON answer that nobody on the way may keep."""
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", "cache-control": "no-store"},
        "body": strict_json.written(body),
    }
