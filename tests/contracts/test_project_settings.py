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


def test_an_unknown_setting_is_named_with_those_that_exist() -> None:
    with pytest.raises(InvalidRequest, match="'user' is unknown") as caught:
        parse_settings({"user": "eve"})
    assert "approval" in caught.value.fix
