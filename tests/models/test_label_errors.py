"""Labels that were changed on purpose are found, and few others."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from contracts.manifest import Example, Split
from models import tfidf
from models.draft import cross_validated_logits
from models.label_errors import MOST_KEPT, LabelCheck, check_labels
from tests.models.pictures import write_digits
from tests.models.test_draft import clouds
from tests.texts import labelled_texts


def examples(labels: np.ndarray, groups: dict[int, str] | None = None) -> list[Example]:
    return [
        Example(
            hashlib.sha256(str(number).encode()).hexdigest(),
            int(label),
            f"{number}.png",
            1,
            split=Split.TEST if number % 4 == 0 else Split.TRAIN,
            group=(groups or {}).get(number, ""),
        )
        for number, label in enumerate(labels)
    ]


def flip(
    labels: np.ndarray, count: int, classes: int, seed: int = 0
) -> tuple[np.ndarray, set[str]]:
    generator = np.random.default_rng(seed)
    chosen = generator.choice(len(labels), count, replace=False)
    changed = labels.copy()
    changed[chosen] = (changed[chosen] + generator.integers(1, classes, count)) % classes
    return changed, {f"{number}.png" for number in chosen}


def test_flipped_labels_are_found_and_named() -> None:
    rows, labels = clouds(100, 3, distance=12)
    changed, flipped = flip(labels, 15, 3)
    check = check_labels(examples(changed), ("a", "b", "c"), rows)
    found = {error.name for error in check.errors}
    assert check.examined == 300
    assert len(found & flipped) >= 11
    assert len(found - flipped) <= 4
    assert {error.name for error in check.errors[:8]} <= flipped
    for error in check.errors[:8]:
        number = int(error.name.removesuffix(".png"))
        assert error.given == "abc"[changed[number]]
        assert error.likelier == "abc"[labels[number]]
        assert error.likelier_probability > 0.8 > 0.2 > error.given_probability
        assert error.split == ("test" if number % 4 == 0 else "train")


def test_clean_labels_give_few() -> None:
    rows, labels = clouds(100, 3, distance=12)
    check = check_labels(examples(labels), ("a", "b", "c"), rows)
    assert check.found <= 3


def test_texts_are_judged_by_their_words() -> None:
    rows = labelled_texts(100)
    names = sorted({name for _, name in rows})
    labels = np.array([names.index(name) for _, name in rows])
    changed, flipped = flip(labels, 15, 3)
    counted = tfidf.features([text for text, _ in rows], 3)
    check = check_labels(examples(changed), names, counted, tfidf.CANDIDATES)
    found = {error.name for error in check.errors}
    assert len(found & flipped) >= 11
    assert len(found - flipped) <= 2


def test_a_wrong_label_is_not_defended_by_its_copies() -> None:
    """Copies in other folds would teach the model that the label is right."""
    rows, labels = clouds(60, 2, distance=12)
    rows = np.concatenate([rows, np.repeat(rows[:1], 7, axis=0)])
    labels = np.concatenate([labels, np.zeros(7, np.int64)])
    labels[[0, *range(120, 127)]] = 1
    together = dict.fromkeys([0, *range(120, 127)], "copies")
    check = check_labels(examples(labels, together), ("a", "b"), rows)
    assert {f"{number}.png" for number in together} <= {error.name for error in check.errors}


@pytest.mark.parametrize("labels", [[0, 0, 0, 1], [0] * 6 + [1] * 6])
def test_classes_too_small_to_be_held_out_are_left_alone(labels: list[int]) -> None:
    found = np.array(labels)
    rows = np.random.default_rng(0).normal(size=(len(found), 5)).astype(np.float32)
    one_group = {number: "burst" for number, label in enumerate(labels) if label}
    check = check_labels(examples(found, one_group), ("a", "b"), rows)
    assert check == LabelCheck()


def test_every_example_is_scored_by_heads_that_did_not_see_it() -> None:
    """With labels that mean nothing, only a head that knew them could be right."""
    rows, _ = clouds(60, 2, distance=0)
    labels = np.random.default_rng(1).integers(0, 2, 120)
    logits = cross_validated_logits(rows, labels, [str(number) for number in range(120)], 2)
    assert logits is not None
    assert (logits.argmax(1) == labels).mean() < 0.65


def test_what_is_kept_is_bounded_and_can_be_stored(tmp_path: Path) -> None:
    rows, labels = clouds(300, 3, distance=12)
    changed, _ = flip(labels, 180, 3)
    check = check_labels(examples(changed), ("a", "b", "c"), rows)
    assert len(check.errors) == MOST_KEPT < check.found
    (picture,), _ = write_digits(tmp_path, 1)
    shown = check.with_sources([picture] * MOST_KEPT)
    assert shown.errors[0].picture.startswith("data:image/jpeg;base64,")
    assert LabelCheck.from_json(shown.to_json()) == shown
    assert [error["name"] for error in shown.summary()["first"]] == [
        error.name for error in check.errors[:3]
    ]
