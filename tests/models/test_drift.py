"""A steady endpoint is left alone, and what speaks against a model is noticed and said."""

import numpy as np
import pytest

from contracts.answer_counts import AnswerCounts
from models.drift import judge


def answers(
    count: int, seed: int, *, easy: float = 0.9, none: float = 0.04, sureness: float = 3.0
) -> AnswerCounts:
    """Of a model that is sure of `easy`, which a share of the questions is, and less of `hard`."""
    random, counts = np.random.default_rng(seed), AnswerCounts()
    for is_easy, is_none in zip(
        random.random(count) < easy, random.random(count) < none, strict=True
    ):
        logit = random.normal(sureness if is_easy else sureness - 2, 1.0)
        label = None if is_none else "easy" if is_easy else "hard"
        counts.add(label, 1 / (1 + np.exp(-logit)))
    return counts


REFERENCE = answers(300, 1, easy=0.5)


@pytest.mark.parametrize("count", [60, 500, 20_000])
def test_the_same_questions_are_no_drift(count: int) -> None:
    verdict = judge(answers(count, 2, easy=0.5), REFERENCE)
    assert not verdict.is_drifting
    assert verdict.reason == (
        f"the last {count:,} answers are not notably less sure than those to test examples"
    )


@pytest.mark.parametrize("easy", [0.02, 0.98])
def test_another_mix_of_classes_alone_is_no_drift_but_is_said(easy: float) -> None:
    verdict = judge(answers(5_000, 3, easy=easy), REFERENCE)
    assert not verdict.is_drifting
    assert verdict.mix > 0.3
    assert "classes come in other shares, which alone is no drift" in verdict.reason


def test_surer_answers_than_in_the_test_are_no_drift() -> None:
    assert not judge(answers(5_000, 4, easy=0.5, sureness=6.0), REFERENCE).is_drifting


@pytest.mark.parametrize("count", [200, 5_000])
def test_answers_that_are_less_sure_are_drift_and_the_reason_has_the_shares(count: int) -> None:
    verdict = judge(answers(count, 5, easy=0.5, sureness=1.0), REFERENCE)
    assert verdict.is_drifting
    assert verdict.p_value < 1e-4
    assert verdict.score > 0.4
    assert verdict.reason.startswith("the model is less sure: ")
    assert "of those to its test examples" in verdict.reason


def test_examples_that_are_none_of_the_classes_are_drift() -> None:
    verdict = judge(answers(200, 6, easy=0.5, none=0.5), REFERENCE)
    assert verdict.is_drifting
    assert "of the last 200 examples are like none of the classes" in verdict.reason


def test_a_small_change_is_none_however_sure_one_can_be_of_it() -> None:
    reference = answers(5_000, 7, easy=0.5)
    verdict = judge(answers(50_000, 8, easy=0.5, sureness=2.8), reference)
    assert verdict.p_value < 1e-4
    assert not verdict.is_drifting


def test_a_drift_goes_on_until_it_is_clearly_over() -> None:
    reference = answers(5_000, 9, easy=0.5)
    less = answers(5_000, 10, easy=0.5, sureness=2.5)
    assert not judge(less, reference).is_drifting
    assert judge(less, reference, was_drifting=True).is_drifting
    assert not judge(answers(5_000, 11, easy=0.5), reference, was_drifting=True).is_drifting


def test_a_handful_of_test_examples_gives_no_alarm_without_need() -> None:
    few = answers(12, 12, easy=0.5)
    alarms = [judge(answers(1_000, seed, easy=0.5), few).is_drifting for seed in range(40)]
    assert not any(alarms)
    assert not judge(answers(1_000, 0), AnswerCounts()).is_drifting
    assert judge(answers(1_000, 0, none=1.0), REFERENCE).is_drifting  # no class at all
