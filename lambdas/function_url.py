"""Answers in the form that a function URL passes on."""

import json
from typing import Any


def response(status: int, body: dict[str, Any]) -> dict[str, Any]:
    """A JSON answer that nobody on the way may keep."""
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", "cache-control": "no-store"},
        "body": json.dumps(body, ensure_ascii=False),
    }
