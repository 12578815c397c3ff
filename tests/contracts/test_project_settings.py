"""Settings of a project come in checked."""

from typing import Any

import pytest

from contracts.errors import InvalidRequest
from contracts.project_settings import DEFAULTS, PARSERS, parse_settings


def test_each_setting_has_a_parser_and_a_default() -> None:
    assert set(PARSERS) == set(DEFAULTS)


def test_what_is_right_is_taken() -> None:
    assert parse_settings({"approval": True}) == {"approval": True}
    assert parse_settings({}) == {}


@pytest.mark.parametrize("value", [1, "true", None, [], {}])
def test_a_switch_is_true_or_false(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="must be true or false") as caught:
        parse_settings({"approval": value})
    assert caught.value.fix == 'send {"approval": true}'


@pytest.mark.parametrize("value", [True, False, 0, 0.25, 1])
def test_requests_are_kept_all_none_or_a_share(value: Any) -> None:
    assert parse_settings({"log_requests": value}) == {"log_requests": value}


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), "0.5", None, [0.5]])
def test_a_share_lies_between_nothing_and_all(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="a share from 0 to 1"):
        parse_settings({"log_requests": value})


@pytest.mark.parametrize(
    "body",
    [
        *({"endpoint_auth": value} for value in ("KEY", "none", "", True, None, ["key"], {})),
        *({"requests_per_minute": value} for value in (0, -1, 1.5, "600", True, 100_001, [])),
    ],
)
def test_what_an_endpoint_cannot_be_set_to_is_refused_with_a_fix(body: Any) -> None:
    with pytest.raises(InvalidRequest, match="it must be") as caught:
        parse_settings(body)
    assert "send {" in caught.value.fix


@pytest.mark.parametrize(
    "body",
    [
        *({"endpoint_auth": value} for value in ("key", "iam")),
        *({"requests_per_minute": value} for value in (1, 100_000, None)),
    ],
)
def test_what_an_endpoint_can_be_set_to(body: Any) -> None:
    assert parse_settings(body) == body


@pytest.mark.parametrize(
    ("name", "value"),
    [("canary_share", 0), ("canary_share", 0.5), ("watch_seconds", 900), ("shadow_requests", 7)],
)
def test_a_number_within_its_bounds_is_taken(name: str, value: float) -> None:
    assert parse_settings({name: value}) == {name: value}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("canary_share", 0.51),
        ("canary_share", -0.1),
        ("canary_share", float("nan")),
        ("canary_seconds", 901),
        ("watch_seconds", "60"),
        ("shadow_requests", True),
        ("shadow_requests", None),
    ],
)
def test_any_other_number_is_refused_with_the_bounds(name: str, value: Any) -> None:
    with pytest.raises(InvalidRequest, match="it must be from 0 to") as caught:
        parse_settings({name: value})
    assert name in caught.value.fix


def test_an_unknown_setting_is_named_with_those_that_exist() -> None:
    with pytest.raises(InvalidRequest, match="'user' is unknown") as caught:
        parse_settings({"user": "eve"})
    assert "approval" in caught.value.fix


def test_retraining_is_off_where_nothing_is_said() -> None:
    off = DEFAULTS["retrain"]
    assert parse_settings({"retrain": {}}) == {"retrain": off}
    assert parse_settings({"retrain": {"after_new_examples": 0, "every_days": 30}}) == {
        "retrain": off | {"every_days": 30}
    }


@pytest.mark.parametrize(
    "value",
    [
        True,
        None,
        [],
        {"often": 1},
        {"after_new_examples": -1},
        {"after_new_examples": True},
        {"after_new_examples": "50"},
        {"after_new_examples": None},
        {"every_days": 366},
        {"every_days": 0.5},
        {"on_drift": 1},
    ],
)
def test_other_retraining_is_refused(value: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_settings({"retrain": value})
    assert caught.value.fix
