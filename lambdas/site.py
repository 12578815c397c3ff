"""The page, at the API's own origin: `GET /` and `GET /page/{path}` answer the files of the zip.

It may do nothing but log, and imports nothing beyond Python, so the first visitor waits little.
"""

import base64
import json
import os
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

from contracts.errors import NotFound
from contracts.http_event import header_of, part_of
from lambdas.site_files import WEB, Representation, SiteFiles, listed

_FOLDER: Final = "/page/"
_HEADERS: Final = {
    "cache-control": "no-cache",  # kept, and asked about by its tag: an update shows at once
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "vary": "accept-encoding",
    "x-content-type-options": "nosniff",
}


@cache
def files() -> SiteFiles:
    """One per container."""
    return SiteFiles(listed(WEB))


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """API Gateway HTTP API, payload 2.0."""
    http = part_of(part_of(event, "requestContext"), "http")
    path = str(event.get("rawPath", ""))
    found = files().find(_file(path), takes_gzip=_takes_gzip(header_of(event, "accept-encoding")))
    if found is None or http.get("method") not in {"GET", "HEAD"}:
        return _missing(path)
    headers = _HEADERS | {"content-security-policy": policy(storage_origin()), "etag": found.tag}
    if _is_known(header_of(event, "if-none-match"), found.tag):
        return {"statusCode": 304, "headers": headers}
    headers |= {"content-type": found.content_type}
    headers |= {"content-encoding": found.encoding} if found.encoding else {}
    return {"statusCode": 200, "headers": headers} | _body(found, is_wanted=http["method"] == "GET")


def storage_origin() -> str:
    """Where presigned addresses lead: the bucket's host, or the emulator that stands for S3."""
    parts = urlsplit(os.environ.get("AWS_ENDPOINT_URL") or os.environ["EXEMPLAR_STORAGE_ORIGIN"])
    return f"{parts.scheme}://{parts.netloc}"


def policy(storage: str) -> str:
    """The content security policy: our own files, and examples and reports from the storage."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "worker-src 'self'",
            "style-src 'self'",
            "font-src 'self'",
            f"img-src 'self' blob: data: {storage}",
            "media-src 'self' blob:",
            f"connect-src 'self' {storage}",
            "manifest-src 'self'",
            "form-action 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


def _file(path: str) -> str:
    """The file's name; that of none where the path is another's."""
    if path == "/":
        return "index.html"
    return path.removeprefix(_FOLDER) if path.startswith(_FOLDER) else ""


def _body(found: Representation, *, is_wanted: bool) -> dict[str, Any]:
    """As base64, so that the gateway sends every byte as it is."""
    data = found.data if is_wanted else b""
    return {"body": base64.b64encode(data).decode(), "isBase64Encoded": True}


def _missing(path: str) -> dict[str, Any]:
    error = NotFound(f"the page has no file {path[:200]!r}", fix="open the page at its address")
    headers = _HEADERS | {
        "content-security-policy": policy(storage_origin()),
        "content-type": "application/json",
    }
    return {"statusCode": 404, "headers": headers, "body": json.dumps(error.as_dict())}


def _takes_gzip(accepted: str) -> bool:
    for part in accepted.lower().split(","):
        name, _, weight = part.replace(" ", "").partition(";q=")
        if name == "gzip":
            return weight.strip("0.") != "" or not weight
    return False


def _is_known(tags: str, tag: str) -> bool:
    """Whether the browser has it: of `If-None-Match`, whose tags may be marked as weak."""
    known = {known.strip().removeprefix("W/") for known in tags.split(",")}
    return not known.isdisjoint({tag, "*"})
