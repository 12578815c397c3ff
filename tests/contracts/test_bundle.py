"""What a bundle says about itself: complete, versioned by content, and checked."""

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.bundle import MODEL_FILE, ModelCard, Preprocessing, TextPreprocessing
from contracts.errors import BundleInvalid
from contracts.identity import identifier
from contracts.manifest import Kind

RATE = st.floats(0, 1)
PICTURES = st.builds(Preprocessing, size=st.integers(1, 512), resize=st.integers(1, 512))
TEXTS = st.builds(TextPreprocessing, max_tokens=st.integers(3, 512), pad_id=st.integers(0, 3))


def cards(kind: Kind, preprocessing: st.SearchStrategy[object]) -> st.SearchStrategy[ModelCard]:
    return st.builds(
        ModelCard,
        kind=st.just(kind),
        classes=st.lists(st.text(max_size=8), max_size=4).map(tuple),
        preprocessing=preprocessing,
        dataset_version=st.just("d" * 64),
        backbone=st.just("mobilenet_v2"),
        recipe=st.sampled_from(["draft", "finetune"]),
        temperature=st.floats(0.01, 10),
        rejection_threshold=st.none() | RATE,
        metrics=st.dictionaries(st.text(max_size=5), RATE, max_size=3),
    )


CARDS = cards(Kind.IMAGE, PICTURES) | cards(Kind.TEXT, TEXTS)


@given(CARDS)
def test_a_card_comes_back_with_the_same_version(card: ModelCard) -> None:
    named = card.with_version()
    again = ModelCard.from_json(named.to_json())
    assert again == named
    assert again.with_version() == named
    assert identifier(named.model_version) == named.model_version


@given(CARDS, st.floats(11, 20))
def test_any_change_is_another_version(card: ModelCard, temperature: float) -> None:
    other = replace(card, temperature=temperature)
    assert other.with_version().model_version != card.with_version().model_version


def card(**changes: object) -> ModelCard:
    plain = ModelCard(Kind.IMAGE, ("cat", "dog"), Preprocessing(), "d" * 64, "cnn", "draft")
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_only_the_listed_bytes_pass() -> None:
    listed = card(checksums={MODEL_FILE: hashlib.sha256(b"graph").hexdigest()})
    listed.verify(MODEL_FILE, b"graph")
    for filename, data in ((MODEL_FILE, b"other"), ("extra.bin", b"graph")):
        with pytest.raises(BundleInvalid, match="checksum"):
            listed.verify(filename, data)


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{}", b"\xff", b'{"schema_version": 1}'])
def test_a_broken_form_is_refused(data: bytes) -> None:
    with pytest.raises(BundleInvalid):
        ModelCard.from_json(data)


@pytest.mark.parametrize(
    "change", [{"schema_version": 2}, {"kind": "sound"}, {"surprise": 1}, {"preprocessing": {}}]
)
def test_another_schema_is_refused(change: dict[str, object]) -> None:
    document = json.loads(card().to_json()) | change
    with pytest.raises(BundleInvalid):
        ModelCard.from_json(json.dumps(document).encode())
