"""Calls of the control API: right ones with a part gone wrong, and bodies that are nothing."""

import base64
import copy
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tests.hostile.names import name

_ODD: Final[tuple[Any, ...]] = (
    *(None, True, 0, -1, 2**63, 1e308, "", " ", "x" * 70_000, [], [[]], {}, {"": None}, ["a", "a"]),
    *("\ud800", "\0", "=1+1", "../..", "é" * 64, [None], {"a": {"b": [1]}}, "🐈", 10**300, "²"),
)
_BODIES: Final = (
    *(b"", b"{", b"[]", b"null", b"5", b'"x"', b"NaN", b"\xff\xfe", b"[" * 100_000, b"1" * 9_000),
    *(b'{"name": "\\ud800"}', b'{"a":' * 50_000, b"\0", b'{"name": 1, "name": 2}'),
)
_PICTURE: Final = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(90)).decode()
_FILE: Final = {
    "class": "cat",
    "name": "a.png",
    "size_bytes": 9,
    "sha256": "a" * 64,
    "content_type": "image/png",
}


@dataclass(frozen=True, slots=True)
class ApiCall:
    """`body` is a document, or bytes that need not be one."""

    kind: str
    method: str
    path: str
    body: Any


def _right(project: str) -> list[tuple[str, str, Any]]:
    at = f"/v1/projects/{project}"
    recipe = {"preset": "fast", "epochs": 1}
    return [
        ("POST", "/v1/projects", {"name": project, "kind": "image", "classes": ["cat", "dog"]}),
        ("POST", f"{at}/uploads", {"upload": "u1", "files": [_FILE, dict(_FILE, name="b")]}),
        ("POST", f"{at}/train", {"upload": "u1", "seed": 1, "recipe": recipe, "again": False}),
        ("POST", f"{at}/train", {"model": "hf:a/b", "tune": 1, "min_per_class": 6}),
        ("POST", f"{at}/rollback", {"model_version": "draft-1"}),
        ("PATCH", at, {"classes": ["cat", "dog"]}),
        ("PATCH", at, {"approval": True, "log_requests": 0.5, "canary_share": 0.1}),
        ("POST", f"{at}/feedback", {"label": "cat", "image_base64": _PICTURE, "answered": "dog"}),
        ("POST", f"{at}/feedback", {"label": "cat", "request_id": "r-1", "day": "2026-01-31"}),
        ("POST", f"{at}/jobs/j-1/approval", {"approve": True, "note": "good"}),
        ("POST", f"{at}/predict", {"image_base64": _PICTURE, "explain": True, "class": "cat"}),
        ("POST", f"{at}/predict", {"text": ["a", "b"], "explain": "false"}),
        ("POST", f"{at}/uploads", {"upload": "examples", "files": [_FILE]}),
        ("POST", f"{at}/train", {"check_only": True, "upload": "examples"}),
        ("PATCH", f"{at}/examples", {"remove": [{"sha256": "a" * 64, "class": "cat"}]}),
        ("PATCH", f"{at}/examples", {"move": [{"sha256": "a" * 64, "class": "cat", "to": "dog"}]}),
        ("PATCH", f"{at}/examples", {"rename": {"class": "cat", "to": "dog", "merge": False}}),
        ("PATCH", f"{at}/examples", {"add_class": "bird"}),
        ("PATCH", f"{at}/examples", {"drop_class": "bird"}),
        ("POST", f"{at}/examples/links", {"sha256": ["a" * 64]}),
    ]


def hostile_calls(project: str, count: int, seed: int = 0) -> Iterator[ApiCall]:
    """`count` calls on one project."""
    for index in range(count):
        rng = random.Random(f"{seed}/call/{index}")
        method, path, body = rng.choice(_right(project))
        kind = rng.choice(["body", "part", "part", "part", "path", "method"])
        if kind == "part":
            body = _spoilt(rng, body)
        elif kind == "body":
            body = rng.choice(_BODIES)
        elif kind == "path":
            path = _path(rng, project)
            method = rng.choice(["GET", "DELETE", "POST"])
        else:
            # Not DELETE: it would be right, and no call after it would find the project.
            method = rng.choice(["GET", "PUT", "OPTIONS", "HEAD", "TRACE", "X"])
        yield ApiCall(kind, method, path, body)


def _path(rng: random.Random, project: str) -> str:
    parts = ["v1", "projects", project, rng.choice(["jobs", "models", "report", "bundle", "x"])]
    parts[rng.randrange(2, len(parts))] = name(rng)
    return "/" + "/".join([*parts, *rng.choice([[], [name(rng)]])])


def _spoilt(rng: random.Random, body: Any) -> Any:
    """With one of its values, wherever it lies, replaced, or a field too many."""
    spoilt = copy.deepcopy(body)
    here, key = spoilt, rng.choice(list(spoilt))
    while isinstance(here[key], dict | list) and here[key] and rng.random() < 0.8:
        here = here[key]
        key = rng.randrange(len(here)) if isinstance(here, list) else rng.choice(list(here))
    here[key] = rng.choice([*_ODD, name(rng), name(rng)])
    return spoilt


def text(body: Any) -> str:
    """As it stands in an event."""
    return body.decode("latin-1") if isinstance(body, bytes) else json.dumps(body)
