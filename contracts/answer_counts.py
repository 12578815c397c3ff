"""How sure a model was of its answers, by what it answered: counts that can be added up."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

Bins = dict[int, int]  # counts by bin

MAX_LABELS: Final = 100  # with counts of their own; those of the others are kept together
_STEPS_PER_LOGIT: Final = 2
LOWEST, HIGHEST = -10, 18  # bins of a probability up to 0.7 % and from 99.99 % on


def confidence_bin(probability: float) -> int:
    """The bin of a probability, 0..1: half a unit of its log-odds.

    Models are mostly sure, and between 99 % and 99.9 % lies as much as between 91 % and 99 %.
    """
    if probability >= 1:
        return HIGHEST
    odds = max(probability, 1e-9) / (1 - probability)
    return min(max(math.floor(_STEPS_PER_LOGIT * math.log(odds)), LOWEST), HIGHEST)


def upper_probability(number: int) -> float:
    """Where a bin ends."""
    return 1 / (1 + math.exp(-(number + 1) / _STEPS_PER_LOGIT))


@dataclass(slots=True)
class AnswerCounts:
    """Answers by label and confidence; `none` are those that name none of the classes."""

    labels: dict[str, Bins] = field(default_factory=dict)
    other: Bins = field(default_factory=dict)  # labels beyond `MAX_LABELS`
    none: Bins = field(default_factory=dict)

    def add(self, label: str | None, confidence: float) -> None:
        """Count one answer."""
        self._count(label, {confidence_bin(confidence): 1})

    @property
    def total(self) -> int:
        """All answers."""
        return sum(sum(bins.values()) for _, bins in self._parts())

    def take(self, more: Self) -> None:
        """Count the answers of another, too."""
        for label, bins in more._parts():
            self._count(label, bins)

    def as_item(self) -> dict[str, Any]:
        """For the state table, whose maps have strings for keys."""
        return {
            "labels": {label: _named(bins) for label, bins in self.labels.items()},
            "other": _named(self.other),
            "none": _named(self.none),
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Undo `as_item`."""
        labels = {label: _numbered(bins) for label, bins in item["labels"].items()}
        return cls(labels, _numbered(item["other"]), _numbered(item["none"]))

    def _parts(self) -> Iterator[tuple[str | None, Bins]]:
        yield from self.labels.items()
        yield "", self.other  # no class has this name
        yield None, self.none

    def _count(self, label: str | None, bins: Bins) -> None:
        add_up(self._bins_of(label), bins)

    def _bins_of(self, label: str | None) -> Bins:
        if label is None:
            return self.none
        if not label or (label not in self.labels and len(self.labels) >= MAX_LABELS):
            return self.other
        return self.labels.setdefault(label, {})


def add_up(bins: Bins, more: Bins) -> None:
    """Add counts to those that are there."""
    for number, count in more.items():
        bins[number] = bins.get(number, 0) + count


def _named(bins: Bins) -> dict[str, int]:
    return {str(number): count for number, count in bins.items()}


def _numbered(bins: Mapping[str, int]) -> Bins:
    return {int(number): count for number, count in bins.items()}
