"""What JSON of strangers is refused for, and what is written can be sent."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import InvalidRequest
from contracts.strict_json import DEPTH_MAX, parsed, written


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        (b"\xff", "no JSON"),
        ('{"a": NaN}', "NaN is no number"),
        ("[-Infinity]", "-Infinity is no number"),
        ("[1e999]", "too large"),
        ("[" + "9" * 5_000 + "]", "no JSON"),
        ('{"a": 1, "b": 2, "a": 1}', "'a' is given twice"),
        ('{"a": {"b": 1, "\\u0062": 2}}', "'b' is given twice"),
        ('["\\ud800"]', "half a character (U+D800)"),
        ('{"\\udc00": 1}', "half a character (U+DC00)"),
        ("[" * (DEPTH_MAX + 1) + "]" * (DEPTH_MAX + 1), "levels deep"),
        ("[" * 10_000 + "]" * 10_000, "levels deep"),
        ('{"a":' * 10_000 + "1" + "}" * 10_000, "levels deep"),
    ],
)
def test_what_others_might_read_otherwise_is_refused(text: str | bytes, said: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parsed(text)
    assert said in refusal.value.message
    assert len(refusal.value.message) < 200
    assert refusal.value.fix


def test_both_halves_of_a_character_are_one() -> None:
    assert parsed('["\\ud83d\\ude00", "é"]') == ["😀", "é"]
    assert parsed("[" * DEPTH_MAX + "]" * DEPTH_MAX)
    assert parsed('["\\ud83d"]', takes_half_characters=True) == ["\ud83d"]


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(_VALUES)
def test_what_is_written_is_read_as_the_same(value: Any) -> None:
    assert parsed(written(value)) == value


@given(st.text(st.characters()))
def test_whatever_is_quoted_can_be_sent(text: str) -> None:
    (read,) = json.loads(written([text]).encode())
    # Two halves that happen to fit are one character afterwards.
    assert read.encode("utf-16", "surrogatepass") == text.encode("utf-16", "surrogatepass")
