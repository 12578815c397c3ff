"""What the owner of a project can set: one parser for each setting of `PATCH /v1/projects/{p}`."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from contracts.errors import InvalidRequest


def _switch(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest(
            f"{name} is {str(value)[:80]!r}, it must be true or false",
            fix=f'send {{"{name}": true}}',
        )
    return value


# Each takes the setting's name and the value that was sent, and raises `InvalidRequest`.
PARSERS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "approval": _switch,  # whether a person confirms before a better model is released
}
DEFAULTS: Final[Mapping[str, Any]] = {"approval": False}


def parse_settings(body: Mapping[str, Any]) -> dict[str, Any]:
    """Checked settings of a request. Raises `InvalidRequest` for unknown names and values."""
    unknown = sorted(str(name)[:80] for name in set(body) - set(PARSERS))
    if unknown:
        allowed = ", ".join(["classes", *PARSERS])
        raise InvalidRequest(f"{unknown[0]!r} is unknown", fix=f"allowed are: {allowed}")
    return {name: PARSERS[name](name, value) for name, value in body.items()}
