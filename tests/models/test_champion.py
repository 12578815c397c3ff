"""The promotion rule: who takes the champion's place."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from models.champion import IncomparableEvaluations, Rule, decide
from models.evaluation import Evaluation


def evaluation(right: list[bool], classes: int = 2, **changes: object) -> Evaluation:
    """Answers over a balanced test set; a wrong one names the next class."""
    truth = [i % classes for i in range(len(right))]
    predicted = [t if ok else (t + 1) % classes for t, ok in zip(truth, right, strict=True)]
    plain = Evaluation(
        model_version="m",
        dataset_version="d" * 64,
        classes=tuple(f"class {i}" for i in range(classes)),
        sha256s=tuple(f"{i:064x}" for i in range(len(right))),
        truth=tuple(truth),
        predicted=tuple(predicted),
        confidence=tuple(1.0 for _ in right),
        unscaled_confidence=tuple(1.0 for _ in right),
        rejected=tuple(False for _ in right),
        latency_ms=5.0,
        bundle_size_bytes=9_000_000,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def scored(correct: int, total: int) -> Evaluation:
    return evaluation([i < correct for i in range(total)])


def test_the_first_model_is_promoted_and_says_how_good_it_is() -> None:
    decision = decide(scored(90, 100), None)
    assert decision.promote
    assert decision.reason == "first model: right on 90 of 100 test examples"


def test_a_tie_keeps_the_champion() -> None:
    assert not decide(scored(90, 100), scored(90, 100)).promote


def test_a_worse_one_is_refused_with_both_scores() -> None:
    decision = decide(scored(80, 100), replace(scored(90, 100), model_version="old"))
    assert not decision.promote
    assert "right on 80 instead of 90 of 100 test examples" in decision.reason
    assert (decision.wins, decision.losses) == (0, 10)


def test_a_clearly_better_one_is_promoted() -> None:
    assert decide(scored(480, 500), scored(450, 500)).promote


def test_luck_on_ten_examples_is_not_enough() -> None:
    lucky = evaluation([True] * 8 + [False] * 2)
    unlucky = evaluation([True] * 6 + [False, False, True, True])
    assert not decide(lucky, evaluation([True] * 7 + [False] * 3)).promote
    assert not decide(lucky, unlucky).promote


@pytest.mark.parametrize("total", [3, 4])
def test_sweeping_a_tiny_test_is_luck(total: int) -> None:
    assert not decide(scored(total, total), scored(0, total)).promote


def test_known_mistakes_alone_do_not_make_a_better_model() -> None:
    """Right on 20 corrections that the champion was wrong about, and worse on all else."""
    champion = evaluation([True] * 95 + [False] * 25, model_version="old")
    corrections = frozenset(champion.sha256s[100:])
    worse = evaluation([False] * 4 + [True] * 91 + [True] * 3 + [False] * 2 + [True] * 20)
    assert decide(worse, champion).promote
    decision = decide(worse, champion, feedback=corrections)
    assert not decision.promote
    assert "3 won, 4 lost without the 20 of feedback" in decision.reason
    equal = evaluation([False] * 3 + [True] * 92 + [True] * 3 + [False] * 2 + [True] * 20)
    assert decide(equal, champion, feedback=corrections).promote
    assert len(decide(equal, champion, feedback=frozenset({"f" * 64})).checks) == len(
        decide(equal, champion).checks
    )


def test_the_version_that_serves_stays_without_a_quarrel() -> None:
    assert decide(scored(9, 10), scored(9, 10)).reason == "kept: this version serves already"


def test_a_class_that_pays_for_the_others_keeps_the_champion() -> None:
    champion = evaluation([i % 2 == 0 or i < 100 for i in range(400)], model_version="old")
    challenger = evaluation([i % 2 == 1 or i >= 80 for i in range(400)])
    decision = decide(challenger, champion)
    assert decision.wins - decision.losses > 50
    assert not decision.promote
    assert "no class pays for it: 'class 0' -20 points" in decision.reason


def test_one_lost_picture_of_a_small_class_is_no_drop() -> None:
    champion = evaluation([i == 0 or i >= 12 for i in range(40)], classes=20)
    challenger = evaluation([i != 0 for i in range(40)], classes=20)
    assert decide(challenger, champion).promote


def test_guessing_the_largest_class_is_not_served() -> None:
    truth = (0,) * 15 + (1,) * 5
    guesses = replace(scored(20, 20), truth=truth, predicted=(0,) * 20)
    decision = decide(guesses, None)
    assert not decision.promote
    assert "better than guessing" in decision.reason


def test_an_empty_test_set_promotes_nothing() -> None:
    assert not decide(evaluation([]), None).promote
    assert not decide(evaluation([]), evaluation([])).promote


def test_a_decision_can_be_stored_as_json() -> None:
    decision = decide(scored(480, 500), scored(450, 500))
    assert json.loads(json.dumps(asdict(decision)))["p_value"] == decision.p_value


def test_a_gain_within_the_margin_is_not_enough() -> None:
    champion = [True] * 900 + [False] * 100
    challenger = [True] * 904 + [False] * 96
    assert not decide(evaluation(challenger), evaluation(champion)).promote


def test_a_collapsed_class_is_refused() -> None:
    constant = evaluation([i % 2 == 0 for i in range(20)])
    decision = decide(constant, None)
    assert not decision.promote
    failed = {check.name for check in decision.checks if not check.passed}
    assert "every class is recognised" in failed


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"latency_ms": 5_000.0}, "latency"),
        ({"bundle_size_bytes": 200 * 2**20}, "bundle size"),
        ({"parity_error": 0.5}, "same answers as in training"),
    ],
)
def test_budgets_and_parity(change: dict[str, float], name: str) -> None:
    decision = decide(evaluation([True] * 50, **change), scored(10, 50))
    assert not decision.promote
    assert [check.name for check in decision.checks if not check.passed] == [name]


@pytest.mark.parametrize(
    "change",
    [
        {"dataset_version": "e" * 64},
        {"sha256s": tuple(f"{i + 1:064x}" for i in range(20))},
        {"classes": ("class 1", "class 0")},
        {"truth": tuple(1 - i % 2 for i in range(20))},
    ],
)
def test_scores_of_different_data_are_never_compared(change: dict[str, object]) -> None:
    with pytest.raises(IncomparableEvaluations):
        decide(scored(20, 20), replace(scored(10, 20), **change))  # type: ignore[arg-type]


def test_equal_models_are_rarely_promoted_and_better_ones_mostly() -> None:
    """500 test examples, answers that differ on a tenth of them, as fine-tunes do."""
    random = np.random.default_rng(0)

    def rate(gain: float) -> float:
        promoted = 0
        for _ in range(200):
            draw = random.random(500)
            was_right = draw < 0.90
            is_right = was_right.copy()
            is_right[was_right] = random.random(was_right.sum()) > (0.05 - gain / 2) / 0.90
            is_right[~was_right] = random.random((~was_right).sum()) < (0.05 + gain / 2) / 0.10
            promoted += decide(
                evaluation(is_right.tolist()), evaluation(was_right.tolist())
            ).promote
        return promoted / 200

    assert rate(0.0) < 0.15
    assert rate(0.03) > 0.6


def test_the_rule_is_data() -> None:
    strict = Rule(margin=0.05)
    assert not decide(scored(463, 500), scored(450, 500), strict).promote
