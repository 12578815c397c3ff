"""Model versions side by side, on the examples that both have answered."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from models.comparison import EXAMPLES_SHOWN, Run, compare
from models.evaluation import Evaluation
from models.statistics import mcnemar_two_sided, wilson_interval

CLASSES = ("cat", "dog", "owl")


def evaluation(version: str, right: Sequence[bool], start: int = 0) -> Evaluation:
    """Answers to examples `start`, `start + 1` and so on; a wrong one names the next class."""
    truth = tuple((start + i) % 3 for i in range(len(right)))
    predicted = tuple(t if ok else (t + 1) % 3 for t, ok in zip(truth, right, strict=True))
    return Evaluation(
        model_version=version,
        dataset_version="d" * 64,
        classes=CLASSES,
        sha256s=tuple(f"{start + i:064x}" for i in range(len(right))),
        truth=truth,
        predicted=predicted,
        confidence=tuple(0.5 + i / (4 * len(right)) for i in range(len(right))),
        unscaled_confidence=tuple(0.5 for _ in right),
        rejected=tuple(False for _ in right),
        latency_ms=5.0,
        bundle_size_bytes=1_000,
    )


def run(found: Evaluation, **recipe: object) -> Run:
    return Run(found, "mobilenet_v2", {"name": "balanced"} | recipe, 12.0)


OLD = evaluation("tuned-1", [i % 3 != 0 for i in range(60)])  # no cat
NEW = evaluation("tuned-2", [i != 1 for i in range(60)])  # all but one dog
NAMES = {f"{i:064x}": f"{i}.png" for i in range(60)}


def test_both_are_shown_by_themselves_and_against_each_other() -> None:
    found = compare([run(OLD, epochs=3, flip=True), run(NEW, epochs=6, flip=True)], NAMES)
    first, second = found.runs
    assert (first.correct, second.correct) == (40, 59)
    assert second.interval == wilson_interval(59, 60)
    (difference,) = found.differences
    assert difference.is_same_split
    assert (difference.shared, difference.wins, difference.losses) == (60, 20, 1)
    assert difference.accuracy_difference == pytest.approx(19 / 60)
    assert difference.p_value == mcnemar_two_sided(20, 1) < 0.001
    assert "right on 19 more" in difference.sentence
    assert "hardly by luck" in difference.sentence
    assert [(c.name, c.before, c.after) for c in difference.classes] == [
        ("cat", 0, 1),
        ("dog", 1, 0.95),
    ]
    assert difference.recipe == {"epochs": (3, 6)}
    # Those first where the wrong one was surest.
    assert len(difference.won) == EXAMPLES_SHOWN
    assert difference.won[0].name == "57.png"
    (lost,) = difference.lost
    assert (lost.name, lost.right, lost.before, lost.after) == ("1.png", "dog", "dog", "owl")
    assert found.as_dict()["differences"][0]["accuracy_difference"] == pytest.approx(19 / 60)


def test_of_different_splits_only_the_shared_examples_count() -> None:
    grown = evaluation("tuned-2", [True] * 60, start=30)
    (difference,) = compare([run(OLD), run(grown)], NAMES).differences
    assert not difference.is_same_split
    assert (difference.shared, difference.wins, difference.losses) == (30, 10, 0)
    assert "30 test examples that both answered" in difference.sentence


def test_the_order_of_classes_does_not_matter_but_other_classes_do() -> None:
    turned = replace(
        NEW,
        classes=("owl", "cat", "dog"),
        truth=tuple((t + 1) % 3 for t in NEW.truth),
        predicted=tuple((p + 1) % 3 for p in NEW.predicted),
    )
    (difference,) = compare([run(OLD), run(turned)], NAMES).differences
    assert (difference.wins, difference.losses) == (20, 1)
    other = replace(NEW, classes=("cat", "dog", "hen"))
    (difference,) = compare([run(OLD), run(other)], NAMES).differences
    assert (difference.shared, difference.p_value, difference.classes) == (0, None, [])
    assert "other classes" in difference.sentence


def test_strangers_and_equals() -> None:
    apart, equal = compare(
        [run(OLD), run(evaluation("a", [True], 99)), run(replace(OLD, model_version="b"))], {}
    ).differences
    assert apart.accuracy_difference is None
    assert "no test example in common" in apart.sentence
    assert "as often right" in equal.sentence
    assert equal.p_value == 1


def test_the_two_sided_value_is_symmetric_and_at_most_one() -> None:
    assert mcnemar_two_sided(12, 4) == mcnemar_two_sided(4, 12) == pytest.approx(0.0490, abs=1e-4)
    assert mcnemar_two_sided(3, 3) == mcnemar_two_sided(0, 0) == 1
