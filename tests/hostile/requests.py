"""Requests to an endpoint that nobody in their right mind, or somebody in a wrong one, sends."""

import base64
import gzip
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from tests.hostile import pictures, texts
from tests.hostile.drawn import Draw
from tests.hostile.names import name

CONTENT_TYPES = (
    *("image/jpeg", "image/png", "image/svg+xml", "application/octet-stream", "text/plain"),
    *("application/json", "application/json; charset=utf-7", "Application/JSON;", "text/html"),
    *("multipart/form-data", "multipart/mixed; boundary=x", "application/x-www-form-urlencoded"),
    *("", ";;;", "\xff\xfe", "image/" + "x" * 5_000, "text/csv", "application/zip"),
)
_BOUNDARY = "edge"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; the key is added by who sends it, unless there is one already."""

    kind: str
    number: int = 0
    body: bytes = b""
    content_type: str = ""
    method: str = "POST"
    path: str = "/"
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.kind}-{self.number}"

    def event(self, key: str) -> dict[str, Any]:
        """As a function URL passes it on."""
        headers = {"x-api-key": key, "content-type": self.content_type} | self.headers
        return {
            "version": "2.0",
            "requestContext": {"http": {"method": self.method, "path": self.path}},
            "rawPath": self.path,
            "headers": headers,
            "queryStringParameters": self.query or None,
            "body": base64.b64encode(self.body).decode(),
            "isBase64Encoded": True,
        }


Make = Callable[[random.Random], Request]


def _as_json(kind: str, document: Any) -> Request:
    return Request(kind, body=json.dumps(document).encode(), content_type="application/json")


def _picture(rng: random.Random) -> bytes:
    kinds: dict[str, Draw] = pictures.KINDS
    return kinds[rng.choice(sorted(kinds))](rng)


def _bare(rng: random.Random) -> Request:
    return Request("bare", body=_picture(rng), content_type=rng.choice(CONTENT_TYPES))


def _in_json(rng: random.Random) -> Request:
    encoded = base64.b64encode(_picture(rng)).decode()
    prefix = rng.choice(["", "data:image/png;base64,", "data:", "data:,", " ", "\n"])
    cut = rng.choice([0, 0, 0, 1, 2])
    encoded = encoded[: len(encoded) - cut].replace("+", rng.choice(["+", "+", "-"]))
    return _as_json("in-json", {"image_base64": prefix + encoded})


def _odd_json(rng: random.Random) -> Request:
    """JSON of every shape but the right one, and what only looks like JSON."""
    values: list[Any] = [
        *(None, True, 0, -1, 1e308, "", "x", [], {}, [[]], {"": ""}, {"a": {"b": []}}),
        {"image_base64": rng.choice([None, 1, [], {}, True, "", " ", "é", "\ud800", "A", "====="])},
        {"image_base64": "AAAA", "text": "x", "url": "http://127.0.0.1/"},
        {"url": rng.choice(["http://169.254.169.254/", "file:///etc/passwd", 5, None, [], "//x"])},
        {"text": rng.choice([None, 1, [], {}, [None], [[]], "\0", "\ud800", ["a", 1], "  "])},
        {"text": "x", "explain": rng.choice([None, 1, 2, [], {}, "\ud800", "yes", 10**400])},
        {
            "text": "x",
            "explain": True,
            "class": rng.choice([None, 1, [], {}, "\ud800", "x" * 10**5]),
        },
    ]
    written = json.dumps(rng.choice(values)).encode()
    broken = [
        *(b"{", b"[" * 200_000, b'{"a":' * 100_000, b"NaN", b"Infinity", b'{"text": NaN}'),
        *(b"1" * 5_000, b'{"text": ' + b"9" * 9_000 + b"}", b'{"text":"a","text":1}'),
        *(b"\xef\xbb\xbf" + written, written.decode().encode("utf-16"), b"\xff" + written),
        *(b'{"text": "\xe9"}', b"\0", b"'text'", written + written, b'{"text": "\\ud800"}'),
    ]
    body = rng.choice([written, written, rng.choice(broken)])
    return Request("odd-json", body=body, content_type="application/json")


def _form(rng: random.Random) -> Request:
    data, filename = _picture(rng), name(rng)
    disposition = f'form-data; name="file"; filename="{filename}"'
    coding = rng.choice(["", "base64", "quoted-printable", "x-uuencode", "8bit", "nonsense"])
    head = f"Content-Disposition: {disposition}\r\n"
    head += f"Content-Transfer-Encoding: {coding}\r\n" if coding else ""
    head += rng.choice(
        ["", "Content-Type: multipart/mixed; boundary=edge\r\n", "X: " + "y" * 9_000]
    )
    parts = f"--{_BOUNDARY}\r\n{head}\r\n".encode("utf-8", "surrogateescape" if 0 else "replace")
    end = rng.choice([b"\r\n--edge--\r\n", b"\r\n--edge", b""])
    return Request("form", body=parts + data + end, content_type=_form_type(rng))


def _form_type(rng: random.Random) -> str:
    right = f"multipart/form-data; boundary={_BOUNDARY}"
    odd = [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=é",
    ]
    odd += [f"{right}{'x' * 9_000}", 'multipart/form-data; boundary="edge', f"{right}\r\nX: y"]
    return rng.choice([right, right, right, rng.choice(odd)])


def _deep_form(rng: random.Random) -> Request:
    """Forms in forms, or thousands of parts."""
    count = rng.choice([50, 3_000])
    if rng.random() < 0.5:
        body = b"--edge\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n" * count
    else:
        body = b"".join(
            b"--e%d\r\nContent-Type: multipart/mixed; boundary=e%d\r\n\r\n" % (n, n + 1)
            for n in range(count)
        )
    edge = "edge" if body.startswith(b"--edge") else "e0"
    return Request("deep-form", body=body, content_type=f"multipart/form-data; boundary={edge}")


def _text(rng: random.Random) -> Request:
    return _as_json("text", {"text": texts.text(rng)} | _wish(rng))


def _many_texts(rng: random.Random) -> Request:
    count = rng.choice([0, 1, 3, 100, 101, 20_000])
    one = texts.text(rng)[: 50_000 if count <= 100 else 5]
    return _as_json("many-texts", {"text": [one] * count})


def _plain_text(rng: random.Random) -> Request:
    body = rng.choice([texts.text(rng).encode("utf-8", "replace"), rng.randbytes(400), b""])
    encoding = rng.choice(["utf-8", "utf-16", "utf-8"])
    if encoding == "utf-16":
        body = texts.text(rng).encode("utf-16", "replace")
    kind = rng.choice(["text/plain", "text/plain; charset=utf-16", "", "text/html"])
    return Request("plain-text", body=body, content_type=kind)


@cache
def _bomb() -> bytes:
    return gzip.compress(bytes(50 * 2**20))


def _packed(rng: random.Random) -> Request:
    """A body that says it is compressed, and perhaps is: to gigabytes."""
    body = rng.choice([gzip.compress(_picture(rng)), _bomb(), b"\x1f\x8b"])
    coding = rng.choice(["gzip", "deflate", "br", "identity", "gzip, gzip"])
    return Request(
        "packed",
        body=body,
        content_type=rng.choice(["image/png", "application/json"]),
        headers={"content-encoding": coding},
    )


def _wish(rng: random.Random) -> dict[str, Any]:
    if rng.random() < 0.6:
        return {}
    wanted = rng.choice(["true", "1", "", "maybe", "false", "TRUE"])
    return {"explain": wanted} | ({"class": name(rng)} if rng.random() < 0.6 else {})


def _explained(rng: random.Random) -> Request:
    whole = _as_json("explained", {"image_base64": base64.b64encode(_picture(rng)).decode()})
    wanted = rng.choice([{}, {}, {"class": "rot"}, {"class": name(rng)}])
    return replace(whole, query={"explain": "true"} | wanted)


def _method(rng: random.Random) -> Request:
    method = rng.choice(["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "X"])
    path = rng.choice(["/", "/health", "/../../etc/passwd", "/%00", "//", "/a" * 2_000, "/é"])
    return Request("method", method=method, path=path, body=rng.choice([b"", b"x"]))


def _key(rng: random.Random) -> Request:
    key = rng.choice(["", "x" * 9_000, "xk_é", "\ud800", "Bearer", "' OR 1=1", "\0"])
    named = rng.choice(["x-api-key", "X-Api-Key", "authorization"])
    headers = {"x-api-key": ""} | {named: rng.choice([key, f"Bearer {key}", f"Basic {key}"])}
    return Request("key", body=b"x", content_type="image/png", headers=headers)


def _large(rng: random.Random) -> Request:
    size = rng.choice([4, 6, 7]) * 2**20
    kind = rng.choice(
        ["image/png", "text/plain", "application/json", "multipart/form-data; boundary=x"]
    )
    return Request(
        "large",
        body=rng.choice([b"a", b" ", b"\0", b"[", b"\r\n--x\r\n"]) * size,
        content_type=kind,
    )


HTTP: dict[str, Make] = {
    "bare": _bare,
    "deep-form": _deep_form,
    "explained": _explained,
    "form": _form,
    "in-json": _in_json,
    "key": _key,
    "large": _large,
    "many-texts": _many_texts,
    "method": _method,
    "odd-json": _odd_json,
    "packed": _packed,
    "plain-text": _plain_text,
    "text": _text,
}
# Drawing and sending some megabytes takes longer than the rest together.
_OFTEN = ("bare", "in-json", "form", "explained", "odd-json", "text", "plain-text")


def hostile_requests(count: int, seed: int = 0) -> Iterator[Request]:
    """`count` requests of every kind, some kinds more often; the same seed gives the same ones."""
    kinds = sorted([*HTTP, *_OFTEN])
    for index in range(count):
        kind = kinds[index % len(kinds)]
        made = HTTP[kind](random.Random(f"{seed}/request/{kind}/{index}"))
        yield replace(made, kind=kind, number=index, body=made.body[: 7 * 2**20])
