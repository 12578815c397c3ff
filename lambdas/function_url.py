"""Questions and answers in the form that a function URL passes on."""

from collections.abc import Mapping
from typing import Any, Final

from contracts import strict_json
from contracts.http_event import header_of

FORWARDED: Final = "exemplar_forwarded"  # in a direct call that came in at another function
TRIAL_KEY: Final = "xk_smoke_"  # how the keys begin that a release makes to try an endpoint


def key_of(event: Mapping[str, Any]) -> str:
    """The key that came with a request, empty if none did."""
    scheme, _, token = header_of(event, "authorization").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    return header_of(event, "x-api-key") or bearer


def is_trial(event: Mapping[str, Any], context: Any) -> bool:
    """Whether a release tries what it has made, by a key of its own or by calling one version."""
    if "requestContext" in event:
        return key_of(event).startswith(TRIAL_KEY)
    if isinstance(event, dict) and event.get(FORWARDED) is True:  # which knows its own trials
        return False
    arn = str(getattr(context, "invoked_function_arn", ""))
    return arn.rpartition(":")[2].isdecimal()


def response(status: int, body: dict[str, Any]) -> dict[str, Any]:
    """A JSON answer that nobody on the way may keep."""
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    if wait := body.get("error", {}).get("retry_after_seconds"):
        headers["retry-after"] = str(wait)
    return {
        "statusCode": status,
        "headers": headers,
        "body": strict_json.written(body),
    }
