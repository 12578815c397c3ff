from hypothesis import given
from hypothesis import strategies as st

from contracts.answer_counts import (
    HIGHEST,
    LOWEST,
    MAX_LABELS,
    AnswerCounts,
    confidence_bin,
    upper_probability,
)

ANSWER = st.tuples(st.none() | st.sampled_from(["a", "b", "ü", "🐈"]), st.floats(0, 1))


def counted(answers: list[tuple[str | None, float]]) -> AnswerCounts:
    counts = AnswerCounts()
    for label, confidence in answers:
        counts.add(label, confidence)
    return counts


@given(st.floats(0, 1), st.floats(0, 1))
def test_bins_are_in_the_order_of_probabilities(first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert LOWEST <= confidence_bin(low) <= confidence_bin(high) <= HIGHEST
    if confidence_bin(low) < HIGHEST:
        assert low <= upper_probability(confidence_bin(low)) + 1e-9


@given(st.lists(ANSWER, max_size=30), st.lists(ANSWER, max_size=30))
def test_two_lots_together_are_as_one(
    first: list[tuple[str | None, float]], second: list[tuple[str | None, float]]
) -> None:
    counts = counted(first)
    counts.take(counted(second))
    assert counts == counted([*first, *second])
    assert counts.total == len(first) + len(second)
    assert AnswerCounts.from_item(counts.as_item()) == counts


def test_a_thousand_classes_stay_small() -> None:
    counts = counted([(f"class {number}", 0.5) for number in range(1_000)] * 2)
    assert len(counts.labels) == MAX_LABELS
    assert counts.total == 2_000
