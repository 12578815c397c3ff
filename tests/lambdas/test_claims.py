"""A claim becomes a tenant only if nobody else can have the same."""

import json
from typing import Any

import pytest

from contracts.errors import Unauthorized
from lambdas.api import handler
from lambdas.claims import user_of

UUID = "0a1b2c3d-0000-4000-8000-00000000ff00"


@pytest.mark.parametrize(
    ("value", "user"),
    [("ann", "ann"), ("ann-2", "ann-2"), (UUID, UUID.replace("-", "")), ("abc" * 10, "abc" * 10)],
)
def test_names_and_uuids_become_users(value: str, user: str) -> None:
    assert user_of({"sub": value}, "sub") == user


@pytest.mark.parametrize(
    "value",
    [
        "Ann",
        "ann@example.org",
        "ann_b",
        "a#b",
        "../x",
        "a" * 33,
        UUID.upper(),
        UUID.replace("-", ""),  # somebody who calls himself as another is numbered
        f"{UUID}-",
        "ann\n",
        "ａｎｎ",
    ],
)
def test_what_can_be_no_user_is_refused_with_the_claim_and_the_rule(value: str) -> None:
    with pytest.raises(Unauthorized, match="can be no user here") as refused:
        user_of({"username": value}, "username")
    assert "'username'" in refused.value.message
    assert "JwtUserClaim" in refused.value.fix


@pytest.mark.parametrize("claims", [{}, {"sub": ""}, {"sub": None}, {"sub": ["ann"]}, {"sub": 7}])
def test_a_token_without_the_claim_is_told_so(claims: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized, match="no claim 'sub'"):
        user_of(claims, "sub")


def asked_as(authorizer: Any) -> tuple[int, Any]:
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/v1/account",
        "rawQueryString": "",
        "headers": {},
        "requestContext": {
            "http": {"method": "GET", "path": "/v1/account", "sourceIp": "127.0.0.1"},
            "stage": "$default",
            **({"authorizer": authorizer} if authorizer is not None else {}),
        },
    }
    answer = handler(event, None)
    return answer["statusCode"], json.loads(answer["body"])


def test_where_users_log_in_elsewhere_only_claims_name_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    claims, own = {"jwt": {"claims": {"oid": "eve", "sub": "x"}}}, {"lambda": {"user": "ann"}}
    assert asked_as(own)[1]["user"] == "ann"
    assert asked_as(claims)[0] == 401
    monkeypatch.setenv("EXEMPLAR_USER_CLAIM", "oid")
    assert asked_as(claims)[1]["user"] == "eve"
    assert asked_as(claims | own)[1]["user"] == "eve"
    for other in (own, {"jwt": None}, {"jwt": {"claims": None}}, {}, None):
        assert asked_as(other)[0] == 401
