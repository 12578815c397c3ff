"""Feedback that comes in: four ways to name an example, and what is refused."""

import base64
from typing import Any

import pytest

from contracts.errors import ExemplarError, InvalidRequest, LimitExceeded
from contracts.feedback import FeedbackRequest, check_label, text_example
from contracts.limits import Limits
from contracts.manifest import Kind

LIMITS = Limits()
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 50
ENCODED = base64.b64encode(PNG).decode()


def parse(kind: Kind = Kind.IMAGE, **body: Any) -> FeedbackRequest:
    return FeedbackRequest.parse(body, kind, LIMITS)


def test_a_picture_is_known_by_its_bytes() -> None:
    found = parse(label=" cat ", image_base64=f"data:image/png;base64,{ENCODED}", answered="dog")
    assert (found.label, found.answered) == ("cat", "dog")
    assert found.example
    assert (found.example.data, found.example.content_type) == (PNG, "image/png")


def test_a_text_is_kept_as_the_rows_of_tables_are() -> None:
    example = parse(Kind.TEXT, label="spam", text=" cafe\u0301\0 \n").example
    assert example
    assert example.text == "caf\u00e9"
    assert example.sha256 == text_example("café", LIMITS).sha256


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "no JSON object"),
        ({"label": "cat"}, "no example is named"),
        ({"label": "cat", "text": "a", "sha256": "a" * 64}, "text and sha256"),
        ({"image_base64": ENCODED}, "null"),
        ({"label": None, "image_base64": ENCODED}, "null"),
        ({"label": 5, "image_base64": ENCODED}, "no text"),
        ({"label": "a\u202eb", "image_base64": ENCODED}, "invisible"),
        ({"label": "cat", "image_base64": ENCODED, "user": "eve"}, "'user' is unknown"),
        ({"label": "cat", "image_base64": "%%"}, "no valid base64"),
        ({"label": "cat", "image_base64": 7}, "no string"),
        ({"label": "cat", "image_base64": ""}, "empty"),
        ({"label": "cat", "image_base64": base64.b64encode(b"<svg>").decode()}, "no picture"),
        ({"label": "cat", "text": "hello"}, "of pictures"),
        ({"label": "cat", "sha256": "../x"}, "no SHA-256"),
        ({"label": "cat", "sha256": "a" * 64, "size_bytes": True}, "size_bytes"),
        ({"label": "cat", "request_id": "../x"}, "may hold only"),
        ({"label": "cat", "request_id": "r-1", "day": 5}, "day"),
        ({"label": "cat", "image_base64": ENCODED, "answered": ["x"]}, "answered"),
        ({"label": "cat", "image_base64": ENCODED, "model_version": "../x"}, "may hold only"),
    ],
)
def test_what_is_refused_for_pictures(body: Any, said: str) -> None:
    with pytest.raises(ExemplarError, match=said) as refusal:
        FeedbackRequest.parse(body, Kind.IMAGE, LIMITS)
    assert refusal.value.http_status == 400
    assert refusal.value.fix


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"text": " \n"}, "empty"),
        ({"text": ["a"]}, "not a string"),
        ({"text": "a\ud800"}, "half a character"),
        ({"text": "\x01" * 5 + "abc"}, "control characters"),
        ({"sha256": "a" * 64}, "not known by its hash"),
        ({"image_base64": ENCODED}, "of text"),
    ],
)
def test_what_is_refused_for_texts(body: Any, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        parse(Kind.TEXT, label="spam", **body)


def test_large_ones_are_refused_with_the_limit() -> None:
    with pytest.raises(LimitExceeded, match="100,000"):
        parse(Kind.TEXT, label="spam", text="x" * 100_001)
    with pytest.raises(LimitExceeded, match="262,144 bytes"):
        parse(Kind.TEXT, label="spam", text="\U0001f600" * 70_000)
    with pytest.raises(LimitExceeded, match="20,971,520"):
        parse(label="cat", image_base64=base64.b64encode(PNG + bytes(20 * 2**20)).decode())
    with pytest.raises(LimitExceeded, match="the limit is"):
        parse(label="cat", sha256="a" * 64, size_bytes=2**40)


def test_a_class_must_be_known_unless_the_labels_make_the_classes() -> None:
    check_label("cat", ("cat", "dog"), is_open=False)
    with pytest.raises(InvalidRequest, match="'bird' is none") as refusal:
        check_label("bird", ("cat", "dog"), is_open=False)
    assert "['cat', 'dog']" in refusal.value.fix
    check_label("bird", ("cat", "dog"), is_open=True)
    with pytest.raises(InvalidRequest, match="formula"):
        check_label("=1+1", ("cat", "dog"), is_open=True)
