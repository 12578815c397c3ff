"""What the owner of a project can set: one parser for each setting of `PATCH /v1/projects/{p}`."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from contracts.errors import InvalidRequest

RETRAIN_EXAMPLES_MAX: Final = 100_000
RETRAIN_DAYS_MAX: Final = 365
NO_RETRAINING: Final = {"after_new_examples": 0, "on_drift": False, "every_days": 0}
ENDPOINT_AUTHS: Final = ("key", "iam")
REQUESTS_PER_MINUTE_MAX: Final = 100_000

# Lowest, highest, and an example.
NUMBERS: Final[Mapping[str, tuple[float, float, float]]] = {
    "canary_share": (0, 0.5, 0.1),  # of the calls that a better model gets first; 0 for none
    "canary_seconds": (0, 900, 300),  # for so long
    "watch_seconds": (0, 900, 300),  # that it is watched for when it has them all
    "shadow_requests": (0, 1_000, 100),  # stored ones that it is asked again before
}


def _switch(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest(
            f"{name} is {str(value)[:80]!r}, it must be true or false",
            fix=f'send {{"{name}": true}}',
        )
    return value


def _retraining(name: str, value: Any) -> dict[str, Any]:
    """When the project trains anew by itself; what is left out stays off."""
    if not isinstance(value, dict) or not set(value) <= set(NO_RETRAINING):
        raise InvalidRequest(
            f"{name} is {str(value)[:80]!r}, it may hold {', '.join(NO_RETRAINING)}",
            fix=f'send {{"{name}": {{"after_new_examples": 50}}}}, or {{}} for never',
        )
    return {
        "after_new_examples": _count(name, value, "after_new_examples", RETRAIN_EXAMPLES_MAX),
        "on_drift": _switch("on_drift", value.get("on_drift", False)),
        "every_days": _count(name, value, "every_days", RETRAIN_DAYS_MAX),
    }


def _count(name: str, values: Mapping[str, Any], key: str, high: int) -> int:
    value = values.get(key, 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= high:
        raise InvalidRequest(
            f"{name}.{key} is {str(value)[:80]!r}, it must be a whole number from 1 to {high:,}, "
            "or 0 for never",
            fix=f'send {{"{name}": {{"{key}": 30}}}}',
        )
    return value


def _share(name: str, value: Any) -> bool | float:
    """A switch that can also be on for a share of the requests."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidRequest(
            f"{name} is {str(value)[:80]!r}, it must be true, false or a share from 0 to 1",
            fix=f'send {{"{name}": true}}, or {{"{name}": 0.1}} for one request in ten',
        )
    return float(value)


def _endpoint_auth(name: str, value: Any) -> str:
    if value not in ENDPOINT_AUTHS:
        raise InvalidRequest(
            f"{name} is {str(value)[:80]!r}, it must be 'key' or 'iam'",
            fix=f'send {{"{name}": "key"}}, or "iam" for callers that sign with AWS credentials',
        )
    return str(value)


def _rate(name: str, value: Any) -> int | None:
    if value is None:
        return None
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or not 1 <= value <= REQUESTS_PER_MINUTE_MAX:
        raise InvalidRequest(
            f"{name} is {str(value)[:80]!r}, it must be a whole number from 1 to "
            f"{REQUESTS_PER_MINUTE_MAX:,}, or null",
            fix=f'send {{"{name}": 600}}, or null for what the system is set to',
        )
    return int(value)


def _number(low: float, high: float, example: float) -> Callable[[str, Any], float]:
    def parse(name: str, value: Any) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not low <= value <= high:
            raise InvalidRequest(
                f"{name} is {str(value)[:80]!r}, it must be from {low:g} to {high:g}",
                fix=f'send {{"{name}": {example:g}}}',
            )
        return float(value)

    return parse


# Each takes the setting's name and the value that was sent, and raises `InvalidRequest`.
PARSERS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "approval": _switch,  # whether a person confirms before a better model is released
    "retrain": _retraining,  # after so many new examples, on drift, and every so many days
    "log_requests": _share,  # whether what is asked of the endpoint is kept for a while
    "endpoint_auth": _endpoint_auth,  # what opens the endpoint
    "fetch_urls": _switch,  # whether the endpoint fetches pictures from public addresses
    "requests_per_minute": _rate,  # that one key may make; null: the system's
    **{name: _number(*bounds) for name, bounds in NUMBERS.items()},
}
DEFAULTS: Final[Mapping[str, Any]] = {
    "approval": False,
    "retrain": NO_RETRAINING,
    "log_requests": False,
    "endpoint_auth": "key",
    "fetch_urls": False,
    "requests_per_minute": None,
    "canary_share": 0.0,
    "canary_seconds": 300.0,
    "watch_seconds": 0.0,
    "shadow_requests": 100.0,
}


def parse_settings(body: Mapping[str, Any]) -> dict[str, Any]:
    """Checked settings of a request. Raises `InvalidRequest` for unknown names and values."""
    unknown = sorted(str(name)[:80] for name in set(body) - set(PARSERS))
    if unknown:
        allowed = ", ".join(["classes", *PARSERS])
        raise InvalidRequest(f"{unknown[0]!r} is unknown", fix=f"allowed are: {allowed}")
    return {name: PARSERS[name](name, value) for name, value in body.items()}
