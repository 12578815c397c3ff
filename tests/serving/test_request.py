import base64
import json
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import InvalidRequest, LimitExceeded, UnsupportedType
from contracts.manifest import Kind
from serving.request import MAX_PICTURE_BYTES, MAX_TEXTS, Question, question_of

PICTURE = bytes(range(256)) * 3 + b"\r\n--edge\r\n"


def picture_of(asked: dict[str, Any]) -> bytes | str:
    question = question_of(asked, Kind.IMAGE)
    assert not question.is_list
    (picture,) = question.examples
    return picture


def event(body: bytes, content_type: str = "", *, is_text: bool = False) -> dict[str, Any]:
    """As a function URL delivers it: anything but text arrives in base64."""
    return {
        "requestContext": {"http": {"method": "POST"}},
        "headers": {"Content-Type": content_type},
        "body": body.decode() if is_text else base64.b64encode(body).decode(),
        "isBase64Encoded": not is_text,
    }


def form(*parts: tuple[str, bytes], edge: str = "b0undary") -> dict[str, Any]:
    body = b""
    for disposition, content in parts:
        body += f"--{edge}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode()
        body += content + b"\r\n"
    body += f"--{edge}--\r\n".encode()
    return event(body, f"multipart/form-data; boundary={edge}")


def encoded(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


@pytest.mark.parametrize("kind", ["image/jpeg", "application/octet-stream", "", "image/png; x=y"])
def test_a_bare_picture_is_taken_as_it_is(kind: str) -> None:
    assert picture_of(event(PICTURE, kind)) == PICTURE


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,", "data:;base64,"])
@pytest.mark.parametrize("is_text", [True, False])
def test_json_holds_the_picture_in_base64(prefix: str, is_text: bool) -> None:
    body = json.dumps({"image_base64": prefix + encoded(PICTURE)}).encode()
    assert picture_of(event(body, "application/json; charset=utf-8", is_text=is_text)) == PICTURE


def test_a_direct_call_is_the_document_itself() -> None:
    assert picture_of({"image_base64": encoded(PICTURE)}) == PICTURE


def test_the_first_file_of_a_form_is_taken() -> None:
    fields = ('name="note"', b"hello"), ('name="f"; filename="a.jpg"', PICTURE)
    assert picture_of(form(*fields, ('name="g"; filename="b.jpg"', b"other"))) == PICTURE


@given(st.binary(min_size=1, max_size=300))
def test_any_bytes_survive_a_form(content: bytes) -> None:
    assert picture_of(form(('name="f"; filename="a"', content), edge="7f3c9e")) == content


def test_a_random_megabyte_survives_a_form() -> None:
    content = os.urandom(2**20)
    assert picture_of(form(('name="f"; filename="a"', content))) == content


WRONG: dict[str, dict[str, Any]] = {
    "empty": event(b""),
    "no body": {"requestContext": {}},
    "broken json": event(b"{", "application/json"),
    "json list": event(b"[1]", "application/json"),
    "json without picture": event(b"{}", "application/json"),
    "picture is no text": event(b'{"image_base64": 3}', "application/json"),
    "no base64": event(b'{"image_base64": "\xc3\xa4"}', "application/json"),
    "text": event(b'{"text": "hello"}', "application/json"),
    "url": event(b'{"url": "https://example.com/a.jpg"}', "application/json"),
    "url is no text": event(b'{"url": {"a": 1}}', "application/json"),
    "form without a file": form(('name="note"', b"hello")),
    "form without an edge": event(b"--x\r\n\r\n", "multipart/form-data"),
    "form of nothing": event(b"nothing", "multipart/form-data; boundary=x"),
    "body is no base64": event(b"x") | {"body": "***"},
    "direct call without picture": {"picture": "x"},
    "body is a list": event(PICTURE) | {"body": [1]},
    "headers are a list": event(PICTURE) | {"headers": ["x"]},
    "query is a text": event(PICTURE) | {"queryStringParameters": "explain"},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_request_is_refused_with_a_fix(name: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        picture_of(WRONG[name])
    assert refusal.value.fix


def test_too_large_a_picture_is_refused() -> None:
    with pytest.raises(LimitExceeded):
        picture_of(event(bytes(MAX_PICTURE_BYTES + 1)))


@pytest.mark.parametrize("kind", ["text/plain", "text/plain; charset=utf-8", ""])
def test_a_bare_text_is_taken_as_it_is(kind: str) -> None:
    asked = question_of(event("שלום 😀".encode(), kind), Kind.TEXT)
    assert asked == Question(("שלום 😀",))


def test_json_holds_a_text_or_a_list_of_them() -> None:
    one = event(json.dumps({"text": "a"}).encode(), "application/json")
    two = event(json.dumps({"text": ["a", "b"]}).encode(), "application/json")
    assert question_of(one, Kind.TEXT) == Question(("a",))
    assert question_of(two, Kind.TEXT) == Question(("a", "b"), is_list=True)
    assert question_of({"text": ["a"]}, Kind.TEXT) == Question(("a",), is_list=True)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "no 'text'"),
        ({"text": ""}, "empty"),
        ({"text": " \n"}, "empty"),
        ({"text": 5}, "int, not a string"),
        ({"text": None}, "NoneType"),
        ({"text": []}, "list of texts is empty"),
        ({"text": ["a", 5]}, "int, not a string"),
        ({"text": {"a": 1}}, "dict, not a string"),
        ({"image_base64": "aGk="}, "no 'text'"),
        ([], "no JSON object"),
    ],
)
def test_wrong_texts_are_told(document: object, said: str) -> None:
    asked = event(json.dumps(document).encode(), "application/json")
    with pytest.raises(InvalidRequest, match=said) as refusal:
        question_of(asked, Kind.TEXT)
    assert "text" in refusal.value.fix


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b"\xff\xfe\x00", "text/plain", "not encoded as UTF-8"),
        (b"{", "application/json", "no JSON"),
        (b"[" * 100_000, "application/json", "no JSON|20 levels deep"),
    ],
)
def test_other_bodies_are_told(body: bytes, kind: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        question_of(event(body, kind), Kind.TEXT)


def test_a_picture_sent_to_a_texts_endpoint_is_of_an_unsupported_type() -> None:
    with pytest.raises(UnsupportedType, match="takes text, not 'image/png'"):
        question_of(event(b"\x89PNG", "image/png"), Kind.TEXT)


@pytest.mark.parametrize(
    "body",
    [
        b"".join(
            b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (n, n + 1)
            for n in range(3_000)
        ),
        b"--b0\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 3_000,
    ],
)
def test_a_form_of_forms_of_forms_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="holds no file"):
        question_of(event(body, "multipart/form-data; boundary=b0"), Kind.IMAGE)


def test_headers_that_are_no_unicode_are_no_reason_to_fail() -> None:
    asked = form(('name="f"; filename="a"', PICTURE))
    asked["headers"]["Content-Type"] += "; charset=\udcff"
    assert question_of(asked, Kind.IMAGE) == Question((PICTURE,))


def test_too_many_texts_are_told() -> None:
    with pytest.raises(LimitExceeded, match="101 texts"):
        question_of({"text": ["a"] * (MAX_TEXTS + 1)}, Kind.TEXT)


def test_a_picture_is_one_question() -> None:
    assert question_of(event(PICTURE, "image/png"), Kind.IMAGE) == Question((PICTURE,))
