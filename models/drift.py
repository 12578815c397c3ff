"""Whether a model's latest answers could be those to its test examples, by how sure it is.

Only what speaks against the model counts: answers that are less sure than they were, and more
examples that are like none of the classes. Being asked for one class more often than another is no
drift, so confidences are compared class by class. SciPy has all the tests this takes; evidently and
alibi-detect would bring a hundred packages for the same ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.answer_counts import HIGHEST, LOWEST, AnswerCounts, Bins, upper_probability

FEWEST: Final = 50  # answers that say anything
ENOUGH: Final = 500  # latest answers; where a day has more of them, it is judged by itself
GROWTH: Final = 1.25  # of the answers of the same days, until they are judged again
ALPHA: Final = 1e-4  # a monitor looks many times a month
LEAST_SHIFT: Final = 0.15  # of the distribution function of confidences
LEAST_RISE: Final = 0.10  # of the share that is none of the classes
_FEWEST_OF_CLASS: Final = 5  # test examples with an answer, to be compared by themselves
_CALM: Final = 0.75  # of the least shift and rise: a drift that falls below is over

Counts = NDArray[np.float64]  # (bins,)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`score` is 0..1, the larger of shift and rise; `p_value` of seeing so much by chance.

    `mix` is how unlike the classes' shares are, 0..1, which by itself is no drift.
    """

    is_drifting: bool
    score: float
    p_value: float
    mix: float
    reason: str


@dataclass(frozen=True, slots=True)
class _Change:
    size: float
    p_value: float
    words: str

    def is_beyond(self, least: float) -> bool:
        return self.size >= least and self.p_value < ALPHA / 2  # two tests are made


@dataclass(frozen=True, slots=True)
class Latest:
    """A model's latest answers, by the days that have enough of them."""

    answers: AnswerCounts
    first_day: str

    @classmethod
    def of(cls, newest_first: Iterable[tuple[str, AnswerCounts]]) -> "Latest":
        """From days and the answers of each."""
        answers, first_day = AnswerCounts(), ""
        for day, counts in newest_first:
            if answers.total >= ENOUGH:
                break
            answers.take(counts)
            first_day = day
        return cls(answers, first_day)

    def is_due(self, judged: int, judged_from: str) -> bool:
        """Whether to judge, after it was last done with so many answers from that day on.

        Every look is another chance of a false alarm.
        """
        total = self.answers.total
        return total >= FEWEST and (self.first_day != judged_from or total >= GROWTH * judged)


def judge(recent: AnswerCounts, reference: AnswerCounts, *, was_drifting: bool = False) -> Verdict:
    """Compare a model's latest answers with those to its test examples.

    A drift that is known goes on until there is clearly less of it. Kolmogorov and Smirnov's test,
    one-sided, for confidences; Fisher's for the share of none.
    """
    shift, rise = _shift(recent, reference), _rise(recent, reference)
    ease = _CALM if was_drifting else 1.0
    beyond = [
        change
        for change, least in ((shift, LEAST_SHIFT), (rise, LEAST_RISE))
        if change.is_beyond(ease * least)
    ]
    mix, has_other_mix = _mix(recent, reference)
    return Verdict(
        is_drifting=bool(beyond),
        score=round(max(shift.size, rise.size), 4),
        p_value=min(1.0, 2 * min(shift.p_value, rise.p_value)),
        mix=round(mix, 4),
        reason=_reason(beyond, recent.total, has_other_mix=has_other_mix),
    )


def _reason(beyond: list[_Change], answers: int, *, has_other_mix: bool) -> str:
    usual = f"the last {answers:,} answers are not notably less sure than those to test examples"
    words = "; ".join(change.words for change in beyond) or usual
    if not has_other_mix:
        return words
    return f"{words}; classes come in other shares" + (
        "" if beyond else ", which alone is no drift"
    )


def _shift(recent: AnswerCounts, reference: AnswerCounts) -> _Change:
    """How much less sure the answers are, as if the test examples had the same shares of classes.

    The reference is then a weighted sample, which counts as one of a smaller size (Kish).
    """
    from scipy.stats import ksone  # a second to import, which most looks do not need

    pairs = _by_class(recent, reference)
    answers = sum(new.sum() for new, _ in pairs)
    if not answers:
        return _Change(0.0, 1.0, "")
    new = sum(now for now, _ in pairs) / answers
    old = sum(now.sum() / answers * then / then.sum() for now, then in pairs)
    size = 1 / sum((now.sum() / answers) ** 2 / then.sum() for now, then in pairs)
    gaps = np.cumsum(new - old)
    at = int(gaps.argmax())
    largest = max(float(gaps[at]), 0.0)
    alike = round(answers * size / (answers + size))
    bound = _percent(upper_probability(at + LOWEST))
    words = (
        f"the model is less sure: {_percent(np.cumsum(new)[at])} of its last {int(answers):,} "
        f"answers have a probability below {bound}, of those to its test examples "
        f"{_percent(np.cumsum(old)[at])}"
    )
    return _Change(largest, float(ksone.sf(largest, max(alike, 1))), words)


def _rise(recent: AnswerCounts, reference: AnswerCounts) -> _Change:
    """How much larger the share of examples is that are like none of the classes."""
    from scipy.stats import fisher_exact

    table, shares = [], []
    for counts in (recent, reference):
        none, total = sum(counts.none.values()), counts.total
        table.append([none, total - none])
        shares.append(none / total if total else 0.0)
    words = (
        f"{_percent(shares[0])} of the last {recent.total:,} examples are like none of the "
        f"classes, of the test examples {_percent(shares[1])}"
    )
    p_value = float(fisher_exact(table, alternative="greater").pvalue)
    return _Change(max(shares[0] - shares[1], 0.0), p_value, words)


def _mix(recent: AnswerCounts, reference: AnswerCounts) -> tuple[float, bool]:
    """Jensen-Shannon distance of the classes' shares, and whether it is more than chance."""
    from scipy.spatial.distance import jensenshannon
    from scipy.stats import chi2_contingency

    names = sorted(recent.labels.keys() | reference.labels.keys())
    table = np.array(
        [
            [sum(counts.labels.get(name, {}).values()) for name in names]
            for counts in (recent, reference)
        ]
    )
    if len(names) < 2 or not table.sum(axis=1).all():
        return 0.0, False
    distance = float(jensenshannon(*table, base=2))
    return distance, distance >= LEAST_SHIFT and chi2_contingency(table).pvalue < ALPHA


def _by_class(recent: AnswerCounts, reference: AnswerCounts) -> list[tuple[Counts, Counts]]:
    """Recent and reference counts of each class that has enough of the latter, and of the rest."""
    pairs, rest = [], (_counts(recent.other), _counts(reference.other))
    for name in recent.labels.keys() | reference.labels.keys():
        pair = (_counts(recent.labels.get(name, {})), _counts(reference.labels.get(name, {})))
        if pair[1].sum() >= _FEWEST_OF_CLASS:
            pairs.append(pair)
        else:
            rest = (rest[0] + pair[0], rest[1] + pair[1])
    return [pair for pair in [*pairs, rest] if pair[0].any() and pair[1].sum() >= _FEWEST_OF_CLASS]


def _counts(bins: Bins) -> Counts:
    row = np.zeros(HIGHEST - LOWEST + 1)
    for number, count in bins.items():
        row[number - LOWEST] = count
    return row


def _percent(share: float) -> str:
    """Whole ones, but more exact where the last step to certainty is."""
    return f"{100 * share:.2f} %" if 0.99 < share < 1 else f"{100 * share:.0f} %"
