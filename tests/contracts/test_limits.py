"""Limits are settings, and nonsense in them is refused with an example."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import InvalidRequest
from contracts.limits import Limits, held_out_share


@pytest.mark.parametrize(("per_class", "share"), [(1, 0.2), (10, 0.2), (55, 0.25), (100, 0.3)])
def test_held_out_share(per_class: int, share: float) -> None:
    assert held_out_share(per_class) == pytest.approx(share)


@given(st.integers(0, 10**6))
def test_the_share_never_falls_and_has_its_bounds(per_class: int) -> None:
    assert 0.2 <= held_out_share(per_class) <= held_out_share(per_class + 1) <= 0.3 + 1e-12


def test_defaults_allow_what_the_rules_promise() -> None:
    limits = Limits()
    assert (limits.min_classes, limits.min_per_class) == (2, 10)
    assert all(value > 0 for value in limits.as_dict().values())


def test_the_environment_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXEMPLAR_LIMIT_MIN_PER_CLASS", "3")
    monkeypatch.setenv("EXEMPLAR_LIMIT_MAX_ASPECT", "2.5")
    limits = Limits.from_environment()
    assert (limits.min_per_class, limits.max_aspect) == (3, 2.5)
    assert limits.max_classes == Limits().max_classes


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
@pytest.mark.parametrize("value", ["", "0", "-1", "many"])
def test_nonsense_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"EXEMPLAR_LIMIT_{name.upper()}", value)
    with pytest.raises(InvalidRequest, match="positive number"):
        Limits.from_environment()


def test_not_a_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXEMPLAR_LIMIT_MAX_ASPECT", "nan")
    with pytest.raises(InvalidRequest, match="positive number"):
        Limits.from_environment()
