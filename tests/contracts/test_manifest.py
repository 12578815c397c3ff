"""The canonical manifest: one form, one version, and nothing lost."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import InvalidName, InvalidRequest
from contracts.identity import Project, class_name
from contracts.manifest import Example, Flag, Kind, Manifest, Split

SHA = st.integers(0, 2**256 - 1).map(lambda number: f"{number:064x}")
HOSTILE = [
    "../../etc/passwd",
    "<img onerror=x>",
    "\u202eexe",
    "a\0b",
    "🐈.jpg",
    "\ud800",
    "",
    '"\\',
]
SPLIT = st.none() | st.sampled_from(Split)
CLASSES = (
    st.lists(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20))
    .map(lambda names: {_stored(name) for name in names} - {None})
    .map(lambda names: tuple(sorted(name for name in names if name)))
    .filter(len)
)


def _stored(name: str) -> str | None:
    try:
        return class_name(name)
    except InvalidName:
        return None


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    classes = draw(CLASSES)
    example = st.builds(
        Example,
        sha256=SHA,
        class_index=st.integers(0, len(classes) - 1),
        source=st.sampled_from(HOSTILE) | st.text(max_size=20),
        size_bytes=st.integers(0, 2**40),
        split=SPLIT,
        requested_split=SPLIT,
        width=st.integers(0, 9999),
        height=st.integers(0, 9999),
        group=st.text(max_size=5),
        flags=st.lists(st.sampled_from(Flag), max_size=3, unique=True).map(tuple),
        note=st.text(max_size=10),
    )
    return Manifest(
        Project("ann", "pets"),
        draw(st.sampled_from(Kind)),
        classes,
        tuple(draw(st.lists(example, max_size=5))),
        seed=draw(st.integers(0, 2**31)),
        is_prepared=draw(st.booleans()),
        parent=draw(st.none() | SHA),
    )


@given(manifests())
def test_it_comes_back_and_its_form_is_canonical(manifest: Manifest) -> None:
    stored = manifest.to_json()
    again = Manifest.from_json(stored)
    assert again == manifest
    assert again.to_json() == stored
    shuffled = json.dumps(json.loads(stored), indent=2).encode()
    assert Manifest.from_json(shuffled).version == manifest.version


@given(manifests(), st.integers(1, 5))
def test_any_change_is_another_version(manifest: Manifest, more: int) -> None:
    assert replace(manifest, seed=manifest.seed + more).version != manifest.version
    assert replace(manifest, is_prepared=not manifest.is_prepared).version != manifest.version
    other = replace(manifest, project=Project("bob", "pets"))
    assert other.version != manifest.version


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"null", b"{}", b"\xff", b'{"schema_version": 2}', b'{"schema_version": 1}'],
)
def test_a_broken_form_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        Manifest.from_json(data)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("user", "../bob"),
        ("kind", "sound"),
        ("classes", ["cat", "cat"]),
        ("classes", [" cat"]),
        ("classes", ["a\u202eb"]),
        ("examples", [{"sha256": "x", "class": 0, "source": "", "size_bytes": 1}]),
        ("examples", [{"sha256": "a" * 64, "class": 1, "source": "", "size_bytes": 1}]),
        ("examples", [{"sha256": "a" * 64, "class": -1, "source": "", "size_bytes": 1}]),
        ("examples", [{"sha256": "a" * 64, "class": "0", "source": "", "size_bytes": 1}]),
    ],
)
def test_a_changed_field_is_checked(path: str, value: object) -> None:
    plain = Manifest(Project("ann", "pets"), Kind.IMAGE, ("cat",), ())
    document = json.loads(plain.to_json()) | {path: value}
    with pytest.raises(InvalidRequest):
        Manifest.from_json(json.dumps(document).encode())


def test_set_aside_means_flagged_and_without_a_split() -> None:
    plain = Example("a" * 64, 0, "x", 1)
    assert not plain.is_set_aside
    assert replace(plain, flags=(Flag.DUPLICATE,)).is_set_aside
    near = replace(plain, flags=(Flag.NEAR_DUPLICATE,), split=Split.TRAIN)
    assert not near.is_set_aside
    manifest = Manifest(Project("ann", "pets"), Kind.IMAGE, ("cat",), (plain, near))
    assert manifest.select(Split.TRAIN) == [near]
