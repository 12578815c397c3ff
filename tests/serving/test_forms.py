"""Forms as browsers and libraries send them, and as somebody does who wants to keep us busy."""

import random

import pytest

from serving.forms import MAX_PARTS, first_file

TYPE = "multipart/form-data; boundary=edge"
FILE = b'Content-Disposition: form-data; name="f"; filename="a.png"'


def form(*parts: bytes, newline: bytes = b"\r\n") -> bytes:
    return b"".join(b"--edge" + newline + part + newline for part in parts) + b"--edge--" + newline


def part(content: bytes, *headers: bytes, newline: bytes = b"\r\n") -> bytes:
    return newline.join([*headers, b"", content])


@pytest.mark.parametrize(
    "content", [b"", b"\r\n", b"\n\n", b"x\r\n--edgeX\r\ny", b"\0-", b"\r\n--"]
)
def test_content_comes_back_as_it_is(content: bytes) -> None:
    assert first_file(form(part(b"note", b"X: y"), part(content, FILE)), TYPE) == content


def test_lines_may_end_without_a_return() -> None:
    body = form(part(b"a\r\nb", FILE, newline=b"\n"), newline=b"\n")
    assert first_file(body, TYPE) == b"a\r\nb"


@pytest.mark.parametrize(
    "disposition",
    [
        FILE,
        FILE.lower(),
        b"content-disposition: form-data; filename=a",
        b"Content-Disposition: form-data; filename*=UTF-8''a%20b",
        b"Content-Type: image/png\r\n" + FILE,
        b'Content-Disposition: form-data; name="f"; filename=""',
    ],
)
def test_a_file_is_told_by_its_name(disposition: bytes) -> None:
    assert first_file(form(part(b"x", disposition)), TYPE) == b"x"


@pytest.mark.parametrize(
    "disposition",
    [b'Content-Disposition: form-data; name="filename"', b"X: y; filename=a", b"", b"filename=a"],
)
def test_a_field_is_no_file(disposition: bytes) -> None:
    assert first_file(form(part(b"x", disposition)), TYPE) is None


@pytest.mark.parametrize(
    "kind",
    [
        TYPE,
        'multipart/form-data; boundary="edge"',
        "multipart/form-data; charset=utf-8; Boundary = edge",
        "multipart/form-data;boundary=edge; charset=x",
    ],
)
def test_the_boundary_is_found(kind: str) -> None:
    assert first_file(form(part(b"x", FILE)), kind) == b"x"


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=" + "x" * 500,
        "multipart/form-data; boundary=other",
        "multipart/form-data; boundary=.*",
    ],
)
def test_without_its_boundary_a_form_holds_nothing(kind: str) -> None:
    assert first_file(form(part(b"x", FILE)), kind) is None


def test_old_fashioned_codings_are_undone() -> None:
    coded = part(b"aGk=", FILE, b"Content-Transfer-Encoding: base64")
    assert first_file(form(coded), TYPE) == b"hi"
    quoted = part(b"=68i", FILE, b"content-transfer-encoding: quoted-printable")
    assert first_file(form(quoted), TYPE) == b"hi"
    broken = part(b"a", FILE, b"Content-Transfer-Encoding: base64")
    assert first_file(form(broken), TYPE) == b"a"
    unknown = part(b"aGk=", FILE, b"Content-Transfer-Encoding: x-mine")
    assert first_file(form(unknown), TYPE) == b"aGk="


def test_a_form_that_is_cut_off_gives_what_has_come() -> None:
    body = form(part(b"a picture", FILE))
    assert first_file(body[:-12], TYPE) == b"a picture"
    for length in range(len(body)):
        first_file(body[:length], TYPE)


def test_a_million_parts_are_not_looked_at() -> None:
    field = part(b"", b"Content-Disposition: form-data; name=a")
    assert first_file(form(*[field] * (MAX_PARTS - 1), part(b"x", FILE)), TYPE) == b"x"
    assert first_file(form(*[field] * MAX_PARTS, part(b"x", FILE)), TYPE) is None
    assert first_file(b"\r\n--edge" * 10**5, TYPE) is None  # took minutes once
    assert first_file(b"--edge\r\n" + FILE + b"\r\nX: y" * 10**5, TYPE) is None


def test_any_bytes_at_all_are_borne() -> None:
    rng = random.Random(0)
    pieces = [b"--edge", b"\r\n", b"--", FILE, b": ", b"\0", b"edge", b"\n", b"Content-"]
    for _ in range(500):
        first_file(b"".join(rng.choice(pieces) for _ in range(rng.randint(0, 40))), TYPE)
