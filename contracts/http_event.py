"""Parts of the event that a function URL makes of an HTTP request; a direct caller can send any."""

from collections.abc import Mapping
from typing import Any, Final

from contracts.errors import InvalidRequest

EVENT_FIX: Final = "send what a function URL sends, or the document itself without such parts"


def part_of(event: object, name: str) -> dict[str, Any]:
    """An event's part, empty where it is missing. Raises `InvalidRequest` for anything else."""
    found = event.get(name) if isinstance(event, Mapping) else None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise InvalidRequest(f"the event's {name!r} is {type(found).__name__}", fix=EVENT_FIX)
    return found


def header_of(event: Mapping[str, Any], name: str) -> str:
    """A header by its name in lower case; empty where it is missing."""
    headers = part_of(event, "headers")
    return next((str(value) for key, value in headers.items() if key.lower() == name), "")
