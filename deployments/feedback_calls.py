"""Giving examples their right labels: small pictures with the call, large ones straight to S3."""

import base64
import hashlib
from pathlib import Path
from typing import Any, Final

import httpx

from contracts.errors import InvalidRequest, NotFound, Unavailable
from contracts.manifest import Kind
from contracts.picture_type import SNIFF_BYTES, picture_type, reason_against
from deployments.api_calls import ApiCalls

# A call takes 6 MB as a whole, and base64 makes four bytes of three.
_INLINE_BYTES: Final = 3 * 2**20
_SEND_SECONDS: Final = 60.0


def give(
    api: ApiCalls, path: str, kind: Kind, example: Path | str | bytes, told: dict[str, Any]
) -> dict[str, Any]:
    """Send one example with what is told of it; return the API's answer."""
    if kind is Kind.TEXT:
        return _call(api, path, told | {"text": str(example)})
    picture = example if isinstance(example, bytes) else read_picture(Path(example))
    content_type = picture_type(picture[:SNIFF_BYTES])
    if content_type is None:
        raise InvalidRequest(
            f"{example if not isinstance(example, bytes) else 'the example'} is "
            f"{reason_against(picture[:SNIFF_BYTES])}",
            fix="name a picture",
        )
    if len(picture) <= _INLINE_BYTES:
        return _call(api, path, told | {"image_base64": base64.b64encode(picture).decode()})
    return _sent(api, path, picture, content_type, told)


def _sent(
    api: ApiCalls, path: str, picture: bytes, content_type: str, told: dict[str, Any]
) -> dict[str, Any]:
    body = told | {
        "sha256": hashlib.sha256(picture).hexdigest(),
        "size_bytes": len(picture),
        "content_type": content_type,
    }
    answer = _call(api, path, body)
    if answer["stored"]:
        return answer
    post = answer["post"]
    try:
        sent = httpx.post(
            post["url"],
            data=post["fields"],
            files={"file": picture},
            timeout=_SEND_SECONDS,
            trust_env=not api.is_loopback,
        )
        sent.raise_for_status()
    except httpx.HTTPError as error:
        raise Unavailable(f"the picture was not sent: {error}", fix="try again") from error
    return _call(api, path, body)


def _call(api: ApiCalls, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = api.call("POST", path, body)
    return answer


def read_picture(path: Path) -> bytes:
    """A picture's bytes. Raises `NotFound`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFound(
            f"{str(path)!r} cannot be read: {error.strerror}", fix="name an existing picture"
        ) from error
