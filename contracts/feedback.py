"""Examples that were given the right label afterwards: what a call may send, and how it is kept."""

import base64
import binascii
import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Final

from contracts.errors import InvalidRequest, LimitExceeded
from contracts.identity import class_name, identifier, sha256_hex
from contracts.keys import DAY_PATTERN
from contracts.limits import MIB, Limits
from contracts.manifest import Kind
from contracts.picture_type import SNIFF_BYTES, picture_type, reason_against
from contracts.tables import label_problem

PAGE_MAX: Final = 100
TEXT_BYTES_MAX: Final = 256 * 1024  # of one text: an item of the table holds 400 KB
# Of all texts together: one function reads them when a training starts.
ALL_TEXT_BYTES_MAX: Final = 50 * MIB
_CONTROLS = frozenset(map(chr, (*range(1, 9), *range(14, 32))))
SHORT_MAX: Final = 64
WAYS: Final = ("text", "image_base64", "sha256", "request_id")
_MORE: Final = ("answered", "model_version", "day", "size_bytes", "content_type")
_FIX: Final = 'send {"label": "cat"} with one of: ' + ", ".join(WAYS)


@dataclass(frozen=True, slots=True)
class Example:
    """What the label is of: a picture's bytes, or a text in the form in which it is learnt from."""

    data: bytes
    content_type: str = ""  # of a picture
    text: str = ""

    @property
    def sha256(self) -> str:
        """By which it is the same example anywhere in the project."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class FeedbackRequest:
    """`POST …/feedback`: exactly one of `example`, `sha256` and `request_id` names the example."""

    label: str
    example: Example | None = None
    sha256: str = ""  # of a picture that is stored, or with size and type is about to be
    size_bytes: int = 0
    content_type: str = ""
    request_id: str = ""
    day: str = ""
    answered: str | None = None  # what the model said
    model_version: str = ""

    @classmethod
    def parse(cls, body: Any, kind: Kind, limits: Limits) -> "FeedbackRequest":
        """Raises `InvalidRequest` with the first broken rule, or `LimitExceeded`."""
        if not isinstance(body, dict):
            raise InvalidRequest("the body is no JSON object", fix=_FIX)
        unknown = sorted(str(name)[:80] for name in set(body) - {"label", *WAYS, *_MORE})
        if unknown:
            allowed = ", ".join(("label", *WAYS, *_MORE))
            raise InvalidRequest(f"{unknown[0]!r} is unknown", fix=f"allowed are: {allowed}")
        ways = [name for name in WAYS if name in body]
        if len(ways) != 1:
            said = f"it is named by {' and '.join(ways)}" if ways else "no example is named"
            raise InvalidRequest(f"exactly one example is needed, but {said}", fix=_FIX)
        return cls(
            label=_label(body.get("label")),
            example=_example(body, kind, limits),
            sha256=_stored(body, kind),
            size_bytes=_size(body.get("size_bytes", 0), limits),
            content_type=_short(body.get("content_type", ""), "content_type"),
            request_id=identifier(body["request_id"], "request") if "request_id" in body else "",
            day=_day(body.get("day", "")),
            answered=_short(body["answered"], "answered") if body.get("answered") else None,
            model_version=_version(body.get("model_version")),
        )


def check_label(label: str, classes: tuple[str, ...], *, is_open: bool) -> None:
    """Raise `InvalidRequest` unless the project can learn this class.

    With `is_open` any name will do that a table of labels may hold.
    """
    if is_open:
        if problem := label_problem(label):
            raise InvalidRequest(problem, fix="use another name for the class")
    elif label not in classes:
        raise InvalidRequest(
            f"label {label!r} is none of the project's classes",
            fix=f"use one of {list(classes)[:50]}, or change the project's classes with PATCH",
        )


def picture(data: bytes, limits: Limits) -> Example:
    """A picture of a type that is learnt from. Raises `InvalidRequest` or `LimitExceeded`."""
    content_type = picture_type(data[:SNIFF_BYTES])
    if content_type is None:
        raise InvalidRequest(
            f"this is {reason_against(data[:SNIFF_BYTES])}" if data else "the picture is empty",
            fix="send a JPEG, PNG, WebP, GIF, BMP or TIFF",
        )
    if len(data) > limits.max_file_bytes:
        raise LimitExceeded(
            f"the picture has {len(data):,} bytes, the limit is {limits.max_file_bytes:,}",
            fix="scale it down and try again",
        )
    return Example(data, content_type)


def text_example(value: Any, limits: Limits) -> Example:
    """A text as the rows of tables are kept, so that the same text is the same example.

    Raises `InvalidRequest` or `LimitExceeded` for what no table of text may hold.
    """
    if not isinstance(value, str):
        raise InvalidRequest(f"text is {type(value).__name__}, not a string", fix=_FIX)
    text = unicodedata.normalize("NFC", value.replace("\0", "").strip())
    if not text:
        raise InvalidRequest("the text is empty", fix="send the text that was asked about")
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest("the text holds half a character", fix="send valid UTF-8") from error
    if len(text) > limits.max_text_characters or len(data) > TEXT_BYTES_MAX:
        raise LimitExceeded(
            f"the text has {len(text):,} characters, at most {limits.max_text_characters:,} in "
            f"{TEXT_BYTES_MAX:,} bytes are learnt from",
            fix="shorten it",
        )
    # A table with many of them is taken for no text, and one row must not spoil all.
    if sum(text.count(control) for control in _CONTROLS) > len(text) / 100:
        raise InvalidRequest("the text holds control characters", fix="remove them")
    return Example(data, text=text)


def _label(value: Any) -> str:
    if value is None:
        raise InvalidRequest(
            "the label is missing, or null: an example of no class cannot be learnt from",
            fix="give the class that it is of",
        )
    return class_name(value)


def _example(body: dict[str, Any], kind: Kind, limits: Limits) -> Example | None:
    if "text" in body:
        if kind is not Kind.TEXT:
            raise InvalidRequest("the project is of pictures", fix="send image_base64")
        return text_example(body["text"], limits)
    if "image_base64" in body:
        if kind is not Kind.IMAGE:
            raise InvalidRequest("the project is of text", fix="send text")
        return picture(decoded_picture(body["image_base64"]), limits)
    return None


def decoded_picture(value: Any) -> bytes:
    """Base64, with or without what a browser puts before it. Raises `InvalidRequest`."""
    if not isinstance(value, str):
        raise InvalidRequest("image_base64 is no string", fix=_FIX)
    encoded = value.partition(",")[2] if value.startswith("data:") else value
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest("image_base64 is no valid base64", fix=_FIX) from error


def _stored(body: dict[str, Any], kind: Kind) -> str:
    if "sha256" not in body:
        return ""
    if kind is Kind.TEXT:
        raise InvalidRequest("a text is not known by its hash", fix="send the text itself")
    return sha256_hex(body["sha256"])


def _size(value: Any, limits: Limits) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidRequest(
            f"size_bytes is {str(value)[:40]!r}", fix="give the picture's size in bytes"
        )
    if value > limits.max_file_bytes:
        raise LimitExceeded(
            f"the picture has {value:,} bytes, the limit is {limits.max_file_bytes:,}",
            fix="scale it down and try again",
        )
    return value


def _short(value: Any, what: str) -> str:
    if not isinstance(value, str) or len(value) > SHORT_MAX:
        raise InvalidRequest(
            f"{what} is {str(value)[:80]!r}, it must be a text of at most {SHORT_MAX} characters",
            fix=f"leave {what} out",
        )
    return value


def _day(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(f"({DAY_PATTERN})?", value):
        raise InvalidRequest(f"day {str(value)[:40]!r} is no day", fix="use one such as 2026-11-30")
    return value


def _version(value: Any) -> str:
    return identifier(value, "model version") if value else ""
