"""Signing a call of a function URL with AWS credentials (SigV4)."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest


def signed(
    url: str, content: bytes, headers: Mapping[str, str], credentials: Any, region: str
) -> dict[str, str]:
    """Headers of a POST with its signature; the URL's query must be percent-encoded.

    The URL's own region counts before `region`.
    """
    request = AWSRequest("POST", url, data=content, headers=dict(headers))
    SigV4Auth(credentials, "lambda", _region_of(url) or region).add_auth(request)
    return {str(name): str(value) for name, value in request.headers.items()}


def _region_of(url: str) -> str:
    """Of `{id}.lambda-url.{region}.on.aws`."""
    parts = (urlsplit(url).hostname or "").split(".")
    return parts[2] if parts[1:2] == ["lambda-url"] and parts[3:] == ["on", "aws"] else ""
