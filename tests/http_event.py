"""An HTTP request as a gateway or a function URL hands it to a function (payload 2.0)."""

import base64
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

# Everything else arrives as base64, as files do.
_TEXT_TYPES = frozenset({"application/json", "application/javascript", "application/xml"})


def event(
    method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes, **context: Any
) -> dict[str, Any]:
    """`context` is what the gateway adds, such as an authorizer's answer."""
    address, given = urlsplit(target), {name.lower(): value for name, value in headers}
    path = unquote(address.path)
    is_text = _is_text(given.get("content-type", ""))
    query = {
        name: ",".join(values)
        for name, values in parse_qs(address.query, keep_blank_values=True).items()
    }
    found = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": address.query,
        "headers": given,
        "isBase64Encoded": bool(body) and not is_text,
        "requestContext": {
            "stage": "$default",
            "requestId": "r",
            "http": {"method": method, "path": path, "sourceIp": "127.0.0.1"},
        }
        | context,
    }
    if body:
        encoded = body.decode(errors="replace") if is_text else base64.b64encode(body).decode()
        found["body"] = encoded
    return found | ({"queryStringParameters": query} if query else {})


def _is_text(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind in _TEXT_TYPES
