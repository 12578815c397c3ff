"""Known values of the statistics, from their papers' formulas and from exhaustive counts."""

import pytest
from scipy.stats import binom, fisher_exact

from models.statistics import fisher_greater, mcnemar_mid_p, sentence, wilson_interval


def test_wilson_interval_of_the_textbook_case() -> None:
    low, high = wilson_interval(27, 30)
    assert (round(low, 3), round(high, 3)) == (0.744, 0.965)


def test_wilson_interval_stays_inside_and_never_claims_certainty() -> None:
    assert wilson_interval(4, 4)[0] == pytest.approx(0.510, abs=0.001)
    assert wilson_interval(4, 4)[1] == 1.0
    assert wilson_interval(0, 4)[0] == 0.0
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (1, 0), (5, 2), (30, 12), (12, 30)])
def test_mid_p_against_the_binomial_distribution(wins: int, losses: int) -> None:
    total = wins + losses
    expected = binom.sf(wins, total, 0.5) + 0.5 * binom.pmf(wins, total, 0.5)
    assert mcnemar_mid_p(wins, losses) == pytest.approx(expected)


def test_the_sentence() -> None:
    assert sentence(27, 30) == (
        "right 27 times out of 30; the true rate is likely between 74 % and 97 %"
    )


@pytest.mark.parametrize(("correct", "total"), [(5, 4), (-1, 4)])
def test_impossible_counts_are_refused(correct: int, total: int) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        wilson_interval(correct, total)


def test_an_untested_model_claims_nothing() -> None:
    assert sentence(0, 0) == "not tested yet: there are no test examples"


@pytest.mark.parametrize(
    ("hits", "total", "other_hits", "other_total"),
    [
        (0, 0, 0, 0),
        (1, 1, 0, 30),
        (3, 9, 1, 80),
        (9, 9, 80, 80),
        (0, 5, 3, 5),
        (40, 900, 90, 9_000),
    ],
)
def test_the_exact_test_against_scipy(
    hits: int, total: int, other_hits: int, other_total: int
) -> None:
    table = [[hits, total - hits], [other_hits, other_total - other_hits]]
    expected = fisher_exact(table, alternative="greater").pvalue
    assert fisher_greater(hits, total, other_hits, other_total) == pytest.approx(expected)


def test_the_exact_test_refuses_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="4 of 3"):
        fisher_greater(4, 3, 0, 1)
