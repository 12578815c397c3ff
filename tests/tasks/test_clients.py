"""Local mode cannot reach a real account."""

import pytest

from contracts.errors import InvalidRequest
from tasks import clients

LOCAL = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}


@pytest.fixture(autouse=True)
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name, value in LOCAL.items():
        monkeypatch.setenv(name, value)


def test_the_emulator_with_dummy_credentials_is_accepted() -> None:
    clients.refuse_real_account()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ENDPOINT_URL", ""),
        ("AWS_ENDPOINT_URL", "https://s3.eu-central-1.amazonaws.com"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1.evil.example"),
        ("AWS_ENDPOINT_URL_S3", "https://s3.amazonaws.com"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_PROFILE", "production"),
    ],
)
def test_everything_else_is_refused_with_a_fix(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidRequest, match="local mode") as refused:
        clients.refuse_real_account()
    assert refused.value.fix
