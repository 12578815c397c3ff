"""JSON from outside: whatever it is, it is a document or a refusal."""

import json
from typing import Any

from contracts.errors import InvalidRequest


def read_json(text: str | bytes, fix: str) -> Any:
    """Parse JSON; raises `InvalidRequest` with `fix`, for endless nesting and numbers as well."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidRequest(f"the body is no JSON: {error}", fix=fix) from error
    except RecursionError:
        raise InvalidRequest("the JSON is nested too deeply", fix=fix) from None
