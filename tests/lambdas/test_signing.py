"""Calls of function URLs are signed for the service, the region and exactly what is sent."""

from typing import Any

import pytest
from botocore.credentials import Credentials

from lambdas.signing import signed

OWN = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "session")


def authorization(url: str, content: bytes = b"{}", region: str = "eu-west-1") -> str:
    return signed(url, content, {"content-type": "application/json"}, OWN, region)["Authorization"]


@pytest.mark.parametrize(
    ("url", "scope"),
    [
        ("https://abc.lambda-url.ap-south-1.on.aws/", "ap-south-1/lambda/aws4_request"),
        ("https://abc.lambda-url.example.org/", "eu-west-1/lambda/aws4_request"),
        ("http://127.0.0.1:4566/lambda-url/abc/", "eu-west-1/lambda/aws4_request"),
    ],
)
def test_the_region_is_the_urls_own(url: str, scope: str) -> None:
    found = authorization(url)
    assert found.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert scope in found


def test_content_query_and_token_are_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two signatures within one second would be the same by luck, across a second differ by it.
    monkeypatch.setattr("botocore.auth.get_current_datetime", _at)
    url = "https://abc.lambda-url.ap-south-1.on.aws/"
    whole: dict[str, Any] = signed(url, b"{}", {}, OWN, "")
    assert whole["X-Amz-Security-Token"] == "session"
    assert "x-amz-security-token" in whole["Authorization"]
    assert authorization(url) == authorization(url)
    assert authorization(url) != authorization(url, b"{ }")
    assert authorization(url) != authorization(f"{url}?class=a%20b")


def _at(*_: Any, **__: Any) -> Any:
    from datetime import UTC, datetime

    return datetime(2026, 1, 1, tzinfo=UTC)
