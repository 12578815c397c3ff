"""Only a known, unexpired token names a tenant."""

import time
from typing import Any

import pytest

from lambdas import environment
from lambdas.authorizer import handler
from tests.lambdas.acting import acting


def answer(header: str | None) -> dict[str, Any]:
    with acting("AuthorizerRole"):
        return handler({"identitySource": [header] if header else None}, None)


def test_a_token_becomes_its_user() -> None:
    environment.state().put_token("tok", "ann", time.time() + 60)
    assert answer("Bearer tok") == {"isAuthorized": True, "context": {"user": "ann"}}


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", "Basic tok2", "tok2"])
def test_everything_else_is_refused(header: str | None) -> None:
    environment.state().put_token("tok2", "ann", time.time() + 60)
    assert answer(header)["isAuthorized"] is False
