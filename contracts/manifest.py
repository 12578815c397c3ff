"""The immutable description of a data set: which example belongs to which class and split."""

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from contracts.errors import InvalidRequest
from contracts.identity import Project, class_name, sha256_hex

SCHEMA_VERSION: Final = 1
UNLABELLED: Final = -1  # class index of an example that is set aside for want of a usable label


class Kind(StrEnum):
    """What the examples of a project are."""

    IMAGE = "image"
    TEXT = "text"


class Split(StrEnum):
    """What an example is used for. Test decides promotion and nothing else."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class Flag(StrEnum):
    """What was found about an example."""

    UNREADABLE = "unreadable"
    WRONG_CONTENT = "wrong-content"  # the stored bytes do not have the announced SHA-256
    MISSING = "missing"
    TOO_SMALL = "too-small"
    TOO_LARGE = "too-large"
    ODD_SHAPE = "odd-shape"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"  # the same example under two labels
    NEAR_DUPLICATE = "near-duplicate"  # kept, but held in one split with its likes
    LEAK = "leak"  # given as test, but a (near) copy of a training example
    OUTLIER_SIZE = "outlier-size"
    EMPTY = "empty"
    TOO_LONG = "too-long"
    UNKNOWN_CLASS = "unknown-class"


@dataclass(frozen=True, slots=True)
class Example:
    """One example. `split` is None while unassigned or when set aside; `note` says why."""

    sha256: str
    class_index: int
    source: str  # the uploader's file name, for text with ":line": data, never a path
    size_bytes: int  # of a text: in UTF-8
    split: Split | None = None
    requested_split: Split | None = None
    width: int = 0
    height: int = 0
    group: str = ""  # examples of one group never straddle two splits
    flags: tuple[Flag, ...] = ()
    note: str = ""
    is_feedback: bool = False  # came as the right label of an answer, so it was no random choice

    @property
    def is_set_aside(self) -> bool:
        """Whether preparation excluded it."""
        return self.split is None and bool(self.flags)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A dataset version: frozen by `ingest` without splits, assigned by `prepare` (`parent`)."""

    project: Project
    kind: Kind
    classes: tuple[str, ...]
    examples: tuple[Example, ...]
    seed: int = 0
    is_prepared: bool = False
    parent: str | None = None

    def __post_init__(self) -> None:
        if len(set(self.classes)) != len(self.classes):
            raise InvalidRequest("a class is listed twice", fix="list every class once")
        for name in self.classes:
            if class_name(name) != name:
                raise InvalidRequest(f"class {name!r} is not in its stored form")
        for example in self.examples:
            sha256_hex(example.sha256)
            lowest = UNLABELLED if example.is_set_aside else 0
            if not lowest <= example.class_index < len(self.classes):
                raise InvalidRequest(f"{example.source!r} belongs to no listed class")

    def to_json(self) -> bytes:
        """Canonical form: the same manifest gives the same bytes, so its hash is its version."""
        document = {
            "schema_version": SCHEMA_VERSION,
            "user": self.project.user,
            "project": self.project.name,
            "kind": self.kind,
            "classes": list(self.classes),
            "seed": self.seed,
            "is_prepared": self.is_prepared,
            "parent": self.parent,
            "examples": [_example_to_dict(example) for example in self.examples],
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")

    @property
    def version(self) -> str:
        """SHA-256 of the canonical form; hashing is linear in the examples, so keep the result."""
        return hashlib.sha256(self.to_json()).hexdigest()

    @classmethod
    def from_json(cls, data: bytes) -> "Manifest":
        """Parse and validate. Raises `InvalidRequest` for an unknown schema or a broken form."""
        try:
            document = json.loads(data)
            if document["schema_version"] != SCHEMA_VERSION:
                raise InvalidRequest(f"manifest schema {document['schema_version']} is unknown")
            return cls(
                project=Project(document["user"], document["project"]),
                kind=Kind(document["kind"]),
                classes=tuple(document["classes"]),
                examples=tuple(_example_from_dict(e) for e in document["examples"]),
                seed=document["seed"],
                is_prepared=document["is_prepared"],
                parent=document["parent"],
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidRequest(f"this is no manifest: {error}") from error

    @property
    def frozen_version(self) -> str:
        """The version that `ingest` froze; what was read out of the upload is stored under it."""
        return self.parent or self.version

    def select(self, split: Split) -> list[Example]:
        """Examples of one split, in manifest order."""
        return [example for example in self.examples if example.split is split]


def _example_to_dict(example: Example) -> dict[str, Any]:
    """Leave out defaults: a manifest of 100,000 examples stays readable and small."""
    out: dict[str, Any] = {
        "sha256": example.sha256,
        "class": example.class_index,
        "source": example.source,
        "size_bytes": example.size_bytes,
    }
    for key in ("split", "requested_split", "width", "height", "group", "note"):
        if value := getattr(example, key):
            out[key] = value
    if example.flags:
        out["flags"] = list(example.flags)
    if example.is_feedback:
        out["feedback"] = True
    return out


def _example_from_dict(data: dict[str, Any]) -> Example:
    return Example(
        sha256=data["sha256"],
        class_index=data["class"],
        source=data["source"],
        size_bytes=data["size_bytes"],
        split=Split(data["split"]) if "split" in data else None,
        requested_split=Split(data["requested_split"]) if "requested_split" in data else None,
        width=data.get("width", 0),
        height=data.get("height", 0),
        group=data.get("group", ""),
        flags=tuple(Flag(flag) for flag in data.get("flags", ())),
        note=data.get("note", ""),
        is_feedback=data.get("feedback", False),
    )
