"""Waiting for a deletion, and setting it going again where it stands still."""

import time
from collections.abc import Callable
from typing import Any, Final

from contracts.errors import ExemplarError, Unavailable
from deployments.api_calls import ApiCalls, ApiError

_QUIET_SECONDS: Final = 20.0  # without news, before it is asked to go on
_PATIENCE_SECONDS: Final = 600.0  # without news, before the waiting ends
_FAILURES: Final = 6  # after which it is left to the person

OnUpdate = Callable[[dict[str, Any]], None]


class DeletionStuck(ExemplarError):
    """The project is closed, but not all of it has gone yet."""

    code = "deletion_stuck"


def wait_until_gone(
    api: ApiCalls, path: str, on_update: OnUpdate, poll_seconds: float
) -> dict[str, Any]:
    """Delete the project at `path` and return its receipt once that is done.

    It is asked to go on by its receipt, so that a project of that name made by somebody meanwhile
    is safe. Raises `DeletionStuck`.
    """
    receipt: dict[str, Any] = api.call("DELETE", path)
    mine, failures = receipt["receipt_id"], 0
    on_update(receipt)
    heard_at = asked_at = time.monotonic()
    while not receipt["is_done"]:
        now, before = time.monotonic(), receipt
        gives_up = bool(receipt["failure"]) and failures >= _FAILURES
        if gives_up or now - heard_at > _PATIENCE_SECONDS:
            raise _stuck(receipt)
        time.sleep(poll_seconds)
        stands = bool(receipt["failure"]) or now - heard_at > _QUIET_SECONDS
        if stands and now - asked_at > _QUIET_SECONDS:
            asked_at, failures = now, failures + bool(receipt["failure"])
            receipt = _asked(api, "DELETE", f"{path}?receipt={mine}", receipt)
        else:
            receipt = _asked(api, "GET", f"/v1/receipts/{mine}", receipt)
        if receipt != before:
            on_update(receipt)
            heard_at = time.monotonic()
    return receipt


def _asked(api: ApiCalls, method: str, path: str, before: dict[str, Any]) -> dict[str, Any]:
    """An API that is away for a while changes nothing about the deletion."""
    try:
        answer: dict[str, Any] = api.call(method, path)
    except (ApiError, Unavailable) as error:
        is_application = isinstance(error, ApiError) and error.is_from_application
        if is_application and error.http_status < 500:
            raise
        return before
    return answer


def _stuck(receipt: dict[str, Any]) -> DeletionStuck:
    failure = receipt["failure"]
    reason = failure.get("message") or "nothing has been heard of it for ten minutes"
    return DeletionStuck(
        f"{receipt['project']!r} is closed, but not all of it has gone: {reason}",
        fix=failure.get("fix") or f"go on with it: exemplar delete {receipt['project']}",
    )
