"""From an HTTP event to the bytes of one picture, or to texts."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from contracts import strict_json
from contracts.errors import InvalidRequest, LimitExceeded, UnsupportedType
from contracts.http_event import EVENT_FIX, header_of, part_of
from contracts.manifest import Kind
from serving.forms import first_file

MAX_PICTURE_BYTES: Final = 6 * 2**20  # Lambda's own limit for a request
MAX_TEXTS: Final = 100  # in one request
_SPOKEN: Final = {"true": True, "1": True, "false": False, "0": False}
_TEXT_FIX: Final = 'send {"text": "..."} or {"text": ["...", "..."]}'
_FIX: Final = 'send the picture as the body, as multipart form data, or as {"image_base64": "..."}'


@dataclass(frozen=True, slots=True)
class Question:
    """What a request asks about."""

    examples: tuple[bytes | str, ...]
    is_list: bool = False  # whether a list of answers is expected
    explained: str | None = None  # a class to be explained; empty is the answered one


MayFetch = Callable[[], bool]


def question_of(
    event: Mapping[str, Any], kind: Kind, may_fetch: MayFetch = lambda: False
) -> Question:
    """Return what a function URL event, or a direct call's document, asks about.

    `may_fetch` says whether pictures may be fetched from addresses.

    Raises `InvalidRequest`, or `LimitExceeded` for what is too large.
    """
    question, fields = _texts_of(event) if kind is Kind.TEXT else _picture_of(event, may_fetch)
    query = part_of(event, "queryStringParameters")
    _explained(query)  # a wrong one is told, also where the document says otherwise
    explained = _explained(query | fields)
    if explained is not None and len(question.examples) > 1:
        raise InvalidRequest(
            f"{len(question.examples)} texts are to be explained, one at a time is",
            fix="send them in a request each",
        )
    return replace(question, explained=explained)


def _explained(fields: dict[str, Any]) -> str | None:
    """The class that is to be explained; empty is the answered one, None is no explanation."""
    asked, name = fields.get("explain", False), fields.get("class", "")
    if not isinstance(name, str):
        raise InvalidRequest("'class' is no string", fix="name one of the model's classes")
    is_wanted = _SPOKEN.get(asked) if isinstance(asked, str) else asked
    if not isinstance(is_wanted, bool):
        raise InvalidRequest(
            f"'explain' is {str(asked)[:60]!r}", fix="say true or false, or leave it out"
        )
    return name if is_wanted else None


_Asked = tuple[Question, dict[str, Any]]  # with the fields of the JSON that it came in


def _texts_of(event: Mapping[str, Any]) -> _Asked:
    if "requestContext" not in event:
        return _from_texts(dict(event)), dict(event)
    body = _body(event)
    kind = header_of(event, "content-type").partition(";")[0].strip().lower()
    if kind == "application/json":
        document = _object(body, _TEXT_FIX)
        return _from_texts(document), document
    if kind in {"text/plain", ""}:
        try:
            return Question((_checked_text(body.decode()),)), {}
        except UnicodeDecodeError as error:
            raise InvalidRequest("the text is not encoded as UTF-8", fix=_TEXT_FIX) from error
    raise UnsupportedType(f"this project's endpoint takes text, not {kind[:60]!r}", fix=_TEXT_FIX)


def _from_texts(document: dict[str, Any]) -> Question:
    if "text" not in document:
        raise InvalidRequest("the JSON holds no 'text'", fix=_TEXT_FIX)
    value = document["text"]
    if not isinstance(value, list):
        return Question((_checked_text(value),))
    if not value:
        raise InvalidRequest("the list of texts is empty", fix=_TEXT_FIX)
    if len(value) > MAX_TEXTS:
        raise LimitExceeded(
            f"{len(value):,} texts in one request, at most {MAX_TEXTS} are answered",
            fix="send them in several requests",
        )
    return Question(tuple(_checked_text(text) for text in value), is_list=True)


def _checked_text(text: Any) -> str:
    if not isinstance(text, str):
        raise InvalidRequest(f"a text is {type(text).__name__}, not a string", fix=_TEXT_FIX)
    if not text.strip():
        raise InvalidRequest("the text is empty", fix=_TEXT_FIX)
    return text


def _picture_of(event: Mapping[str, Any], may_fetch: MayFetch) -> _Asked:
    if "requestContext" not in event:
        return Question((_from_document(dict(event), may_fetch),)), dict(event)
    body = _body(event)
    content_type = header_of(event, "content-type")
    kind = content_type.partition(";")[0].strip().lower()
    if not body:
        raise InvalidRequest("the request has no body", fix=_FIX)
    if kind == "application/json":
        document = _object(body, _FIX)
        return Question((_from_document(document, may_fetch),)), document
    if kind == "multipart/form-data":
        return Question((_from_form(body, content_type),)), {}
    return Question((_checked(body),)), {}


def _body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    if not isinstance(body, str):
        raise InvalidRequest(f"the event's 'body' is {type(body).__name__}", fix=EVENT_FIX)
    if not event.get("isBase64Encoded"):
        return body.encode("utf-8", "replace")  # half a surrogate pair is no text
    return _decoded(body, "the body")


def _object(body: bytes, fix: str) -> dict[str, Any]:
    # Of a text to be classified, half a character costs no more than that character.
    document = strict_json.parsed(body, fix, takes_half_characters=True)
    if not isinstance(document, dict):
        raise InvalidRequest("the body is no JSON object", fix=fix)
    return document


def _from_document(document: dict[str, Any], may_fetch: MayFetch) -> bytes:
    if "text" in document:
        raise InvalidRequest("this project's endpoint takes pictures, not text", fix=_FIX)
    if "url" in document:
        return _from_url(document["url"], may_fetch)
    encoded = document.get("image_base64")
    if not isinstance(encoded, str) or not encoded:
        raise InvalidRequest("the JSON holds no 'image_base64'", fix=_FIX)
    if encoded.startswith("data:"):
        encoded = encoded.partition(",")[2]
    return _checked(_decoded(encoded))


def _from_url(url: object, may_fetch: MayFetch) -> bytes:
    if not may_fetch():
        raise InvalidRequest(
            "this endpoint does not fetch pictures from addresses",
            fix="send the picture itself; the project's owner can set fetch_urls to true",
        )
    from serving.fetch import fetch  # TLS costs 30 ms to import, and few endpoints allow it

    return fetch(url, MAX_PICTURE_BYTES)


def _from_form(body: bytes, content_type: str) -> bytes:
    found = first_file(body, content_type)
    if found is None:
        raise InvalidRequest("the form holds no file", fix=_FIX)
    return _checked(found)


def _decoded(text: str, what: str = "the picture") -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"{what} is no valid base64", fix=_FIX) from error


def _checked(picture: bytes) -> bytes:
    if not picture:
        raise InvalidRequest("the picture is empty", fix=_FIX)
    if len(picture) > MAX_PICTURE_BYTES:
        raise LimitExceeded(
            f"the picture has {len(picture):,} bytes, the limit is {MAX_PICTURE_BYTES:,}",
            fix="scale it down and try again",
        )
    return picture
