"""Model versions side by side: what differs, and how much of it may be luck.

Two versions are compared on the test examples that both have answered, pair by pair. Examples of
a test split stay in it, so neither has learnt from any of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from models.calibration_report import expected_calibration_error
from models.evaluation import Evaluation
from models.statistics import mcnemar_two_sided

EXAMPLES_SHOWN: Final = 10  # each way
_LUCK: Final = 0.05  # p value from which on a difference may well be luck


@dataclass(frozen=True, slots=True)
class Run:
    """A model version, how it answered a test split, and how it came about."""

    evaluation: Evaluation
    backbone: str
    recipe: Mapping[str, Any]  # its name and backbone where no values were kept
    training_seconds: float | None = None  # None of a draft, which is solved, not trained
    is_live: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """One version by itself; rates are 0..1."""

    model_version: str
    is_live: bool
    dataset_version: str
    backbone: str
    correct: int
    examples: int
    accuracy: float
    interval: tuple[float, float]  # 95 %, Wilson
    ece: float  # expected calibration error
    false_alarm_rate: float
    latency_ms: float
    bundle_size_bytes: int
    training_seconds: float | None


@dataclass(frozen=True, slots=True)
class ClassChange:
    """One class's recall, 0..1, on the examples that both answered."""

    name: str
    examples: int
    before: float
    after: float

    @property
    def difference(self) -> float:
        """Negative where the class is found less often."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A test example that exactly one of the two has right."""

    name: str
    right: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A version against the first one; `shared` counts the examples that both answered."""

    model_version: str
    baseline: str
    is_same_split: bool
    shared: int
    wins: int  # of the shared ones, right here and wrong there
    losses: int
    p_value: float | None  # two-sided mid-p of McNemar's test; None without shared examples
    sentence: str
    classes: list[ClassChange]  # the largest difference first; equal ones are left out
    recipe: dict[str, tuple[Any, Any]]  # before and after, of values that differ
    won: list[Disagreement]
    lost: list[Disagreement]

    @property
    def accuracy_difference(self) -> float | None:
        """On the shared examples, -1..1."""
        return (self.wins - self.losses) / self.shared if self.shared else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Versions in the order asked for, and every other one against the first."""

    runs: list[Figures]
    differences: list[Difference]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        document = asdict(self)
        for values, one in zip(document["differences"], self.differences, strict=True):
            values["accuracy_difference"] = one.accuracy_difference
        return document


def compare(runs: Sequence[Run], names: Mapping[str, str]) -> Comparison:
    """Compare every run with the first; `names` are examples' names by their content's SHA-256.

    Figures that are not kept for both, as a draft has no epochs, are no difference.
    """
    first, *others = runs
    return Comparison(
        [_figures(run) for run in runs], [_difference(first, run, names) for run in others]
    )


def _figures(run: Run) -> Figures:
    found = run.evaluation
    return Figures(
        model_version=found.model_version,
        is_live=run.is_live,
        dataset_version=found.dataset_version,
        backbone=run.backbone,
        correct=found.correct,
        examples=len(found.truth),
        accuracy=found.accuracy,
        interval=found.interval,
        ece=expected_calibration_error(np.array(found.confidence), found.is_right),
        false_alarm_rate=found.false_alarm_rate,
        latency_ms=found.latency_ms,
        bundle_size_bytes=found.bundle_size_bytes,
        training_seconds=run.training_seconds,
    )


def _difference(before: Run, after: Run, names: Mapping[str, str]) -> Difference:
    old, new = before.evaluation, after.evaluation
    pairs = _pairs(old, new)
    won = [(i, j) for i, j in pairs if new.is_right[j] and not old.is_right[i]]
    lost = [(i, j) for i, j in pairs if old.is_right[i] and not new.is_right[j]]
    return Difference(
        model_version=new.model_version,
        baseline=old.model_version,
        is_same_split=old.sha256s == new.sha256s and len(pairs) == len(old.truth),
        shared=len(pairs),
        wins=len(won),
        losses=len(lost),
        p_value=mcnemar_two_sided(len(won), len(lost)) if pairs else None,
        sentence=_sentence(old, new, len(pairs), len(won), len(lost)),
        classes=_class_changes(old, new, pairs),
        recipe=_changed(before.recipe, after.recipe),
        won=_shown(old, new, won, [-old.confidence[i] for i, _ in won], names),
        lost=_shown(old, new, lost, [-new.confidence[j] for _, j in lost], names),
    )


_Pairs = list[tuple[int, int]]  # places of one example in both evaluations


def _pairs(old: Evaluation, new: Evaluation) -> _Pairs:
    """Examples that both answered, with the same right answer out of the same classes."""
    if set(old.classes) != set(new.classes):
        return []
    places = {sha256: place for place, sha256 in enumerate(old.sha256s)}
    return [
        (places[sha256], place)
        for place, sha256 in enumerate(new.sha256s)
        if sha256 in places
        and old.classes[old.truth[places[sha256]]] == new.classes[new.truth[place]]
    ]


def _sentence(old: Evaluation, new: Evaluation, shared: int, wins: int, losses: int) -> str:
    if set(old.classes) != set(new.classes):
        return "the two answer with other classes, so their answers cannot be compared"
    if not shared:
        return "the two have no test example in common, so their answers cannot be compared"
    net = wins - losses
    where = f"the {shared:,} test examples that both answered"
    if net == 0:
        return f"as often right as the first on {where} ({wins:,} won, {losses:,} lost)"
    p_value = mcnemar_two_sided(wins, losses)
    luck = "which may be luck" if p_value >= _LUCK else "hardly by luck"
    return (
        f"right on {abs(net):,} {'more' if net > 0 else 'fewer'} of {where} "
        f"({wins:,} won, {losses:,} lost), {luck} (p = {p_value:.2g})"
    )


def _class_changes(old: Evaluation, new: Evaluation, pairs: _Pairs) -> list[ClassChange]:
    by_class: dict[int, _Pairs] = {}
    for i, j in pairs:
        by_class.setdefault(old.truth[i], []).append((i, j))
    found = [
        ClassChange(
            old.classes[index],
            len(mine),
            float(np.mean([old.is_right[i] for i, _ in mine])),
            float(np.mean([new.is_right[j] for _, j in mine])),
        )
        for index, mine in sorted(by_class.items())
    ]
    changed = [change for change in found if change.difference]
    return sorted(changed, key=lambda change: -abs(change.difference))


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {
        name: (value, after[name])
        for name, value in before.items()
        if name in after and value != after[name]
    }


def _shown(
    old: Evaluation,
    new: Evaluation,
    pairs: _Pairs,
    order: Sequence[float],
    names: Mapping[str, str],
) -> list[Disagreement]:
    """Of these pairs, those first where the one that is wrong was surest."""
    ranked = [pairs[place] for place in np.argsort(order, kind="stable")[:EXAMPLES_SHOWN]]
    return [
        Disagreement(
            names.get(old.sha256s[i], old.sha256s[i][:12]),
            old.classes[old.truth[i]],
            old.classes[old.predicted[i]],
            new.classes[new.predicted[j]],
        )
        for i, j in ranked
    ]
