"""The promotion rule: when a challenger replaces the model that serves.

Both are compared on the same test examples, so only those count that one answers rightly and the
other wrongly (wins and losses). How often margin, net wins and p-value all pass in 40,000
simulated tests, by the challenger's true advantage in points, if the two disagree on 8 % of the
examples (an assumption; the more they disagree, the rarer a promotion):

| test examples | -1 | 0 | +2 | +4 |
|---:|---:|---:|---:|---:|
| 20 | 0 % | 0 % | 0 % | 1 % |
| 60 | 1 % | 2 % | 7 % | 16 % |
| 120 | 3 % | 7 % | 23 % | 53 % |
| 500 | 2 % | 10 % | 62 % | 98 % |
| 1000 | 1 % | 10 % | 83 % | 100 % |

With `alpha` 0.05 the row of 500 reads 1, 5, 48 and 95 %.

Test examples that came as feedback are no random choice: people correct what the champion had
wrong, and an equal model that is wrong elsewhere gets some of these right for nothing. So on the
others a challenger may not lose more than it wins. How often all of it passes with and without this
condition, with 120 other examples and corrections of which it gets 40 % right:

| corrections | -3 | -1 | 0 | +2 |
|---:|---:|---:|---:|---:|
| 15, with | 12 % | 34 % | 51 % | 76 % |
| 15, without | 22 % | 45 % | 59 % | 82 % |
| 50, with | 16 % | 42 % | 56 % | 83 % |
| 50, without | 98 % | 99 % | 100 % | 100 % |
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from contracts.errors import Conflict
from contracts.limits import MIB
from models.evaluation import Evaluation
from models.statistics import mcnemar_mid_p, wilson_interval


class IncomparableEvaluations(Conflict):
    """The two models were not scored on the same examples and classes."""

    code = "incomparable_evaluations"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a challenger must reach. Rates are 0..1.

    `alpha` is larger than the usual 0.05 on purpose: promoting an equal model harms nobody, while
    refusing a better one wastes its training. `min_net_wins` is what four lucky answers in a
    test of four cannot reach.
    """

    margin: float = 0.005  # the accuracy must rise by more
    alpha: float = 0.10  # the mid-p value of wins against losses must be below
    min_net_wins: int = 5  # wins less losses
    class_floor: float = 0.20  # recall; a class fails when it is below with error `alpha`
    max_class_drop: float = 0.10  # recall against the champion's, where it is no accident
    max_bundle_bytes: int = 110 * MIB  # beside a layer of 134: Lambda takes 250, unpacked
    max_latency_ms: float = 500.0
    parity_tolerance: float = 1e-3  # largest difference of logits to the training framework


@dataclass(frozen=True, slots=True)
class Check:
    """One condition, what was seen and what it asks for."""

    name: str
    passed: bool
    observed: str
    required: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the challenger shall serve, and why. `p_value` is 1 where nothing was compared."""

    promote: bool
    reason: str
    checks: tuple[Check, ...]
    wins: int = 0
    losses: int = 0
    p_value: float = 1.0
    evidence: dict[str, Any] = field(default_factory=dict)  # of trials of the released version

    def after(self, check: Check, evidence: dict[str, Any], verb: str = "not served") -> "Decision":
        """With one more condition, of a trial; what has failed it does not serve."""
        return replace(
            self,
            promote=self.promote and check.passed,
            reason=self.reason if check.passed else f"{verb}: {check.name}: {check.observed}",
            checks=(*self.checks, check),
            evidence=self.evidence | evidence,
        )


DEFAULT_RULE: Final = Rule()


def decide(
    challenger: Evaluation,
    champion: Evaluation | None,
    rule: Rule = DEFAULT_RULE,
    feedback: Set[str] = frozenset(),
) -> Decision:
    """Promote when the challenger is sound and, where there is a champion, better than it.

    A tie keeps the champion. `feedback` are the SHA-256s of examples that were chosen for what a
    model answered. Raises `IncomparableEvaluations` when the two were scored on other
    data set versions, examples or class orders.
    """
    if champion is None:
        checks = tuple(_soundness(challenger, None, rule))
        return Decision(all(c.passed for c in checks), _first_reason(challenger, checks), checks)
    _require_comparable(challenger, champion)
    wins = int((challenger.is_right & ~champion.is_right).sum())
    losses = int((champion.is_right & ~challenger.is_right).sum())
    p_value = mcnemar_mid_p(wins, losses)
    checks = (
        *_soundness(challenger, champion, rule),
        *_superiority(wins, losses, len(challenger.truth), rule),
        _class_drops(challenger, champion, rule),
        *_without_feedback(challenger, champion, feedback),
    )
    reason = _paired_reason(challenger, champion, wins, losses, checks)
    return Decision(all(c.passed for c in checks), reason, checks, wins, losses, p_value)


def _require_comparable(challenger: Evaluation, champion: Evaluation) -> None:
    for what in ("dataset_version", "classes", "sha256s", "truth"):
        if getattr(challenger, what) != getattr(champion, what):
            raise IncomparableEvaluations(
                f"{challenger.model_version!r} and {champion.model_version!r} were scored with "
                f"different {what.replace('_', ' ')}",
                fix="score both on the test split of one data set version",
            )


def _soundness(challenger: Evaluation, champion: Evaluation | None, rule: Rule) -> Iterator[Check]:
    """What every model must reach before it may serve anyone."""
    largest = int(challenger.confusion.sum(axis=1).max(initial=0))
    yield Check(
        "better than guessing",
        challenger.correct > largest,
        f"{challenger.correct} right",
        f"more than {largest}, what always naming the largest class gives",
    )
    yield _class_floor(challenger, champion, rule)
    yield Check(
        "bundle size",
        challenger.bundle_size_bytes <= rule.max_bundle_bytes,
        f"{challenger.bundle_size_bytes / MIB:.1f} MiB",
        f"at most {rule.max_bundle_bytes / MIB:.0f} MiB",
    )
    yield Check(
        "latency",
        challenger.latency_ms <= rule.max_latency_ms,
        f"{challenger.latency_ms:.1f} ms",
        f"at most {rule.max_latency_ms:.0f} ms for one picture",
    )
    error = challenger.parity_error
    yield Check(
        "same answers as in training",
        error is None or error <= rule.parity_tolerance,
        "not exported from a framework" if error is None else f"logits differ by {error:.2g}",
        f"at most {rule.parity_tolerance:g}",
    )


def _class_floor(challenger: Evaluation, champion: Evaluation | None, rule: Rule) -> Check:
    """A weak class only counts where the champion does better on it."""
    confidence = 1 - 2 * rule.alpha  # of two sides, one counts
    found, sizes = challenger.confusion.diagonal(), challenger.confusion.sum(axis=1)
    before = np.array(champion.per_class_recall) if champion else np.ones(len(sizes))
    failing = [
        f"{name!r} {hits} of {size}"
        for name, hits, size, old in zip(challenger.classes, found, sizes, before, strict=True)
        if wilson_interval(int(hits), int(size), confidence)[1] < rule.class_floor
        and hits < old * size
    ]
    return Check(
        "every class is recognised",
        not failing,
        ", ".join(failing[:5]) or "none too low",
        f"recall of {rule.class_floor:.0%} must be possible for each class",
    )


def _superiority(wins: int, losses: int, total: int, rule: Rule) -> Iterator[Check]:
    net = wins - losses
    yield Check(
        "higher accuracy",
        net > rule.margin * total,
        f"{100 * net / max(total, 1):+.1f} points",
        f"more than {100 * rule.margin:+.1f} points",
    )
    yield Check(
        "enough examples won",
        net >= rule.min_net_wins,
        f"{wins} won, {losses} lost",
        f"at least {rule.min_net_wins} more won than lost",
    )
    p_value = mcnemar_mid_p(wins, losses)
    yield Check("hardly luck", p_value < rule.alpha, f"p = {p_value:.3f}", f"below {rule.alpha:g}")


def _without_feedback(
    challenger: Evaluation, champion: Evaluation, feedback: Set[str]
) -> Iterator[Check]:
    """Nothing to check where no feedback is in the test part."""
    others = np.array([sha256 not in feedback for sha256 in challenger.sha256s], bool)
    if others.all():
        return
    won = int((challenger.is_right & ~champion.is_right & others).sum())
    lost = int((champion.is_right & ~challenger.is_right & others).sum())
    yield Check(
        "no worse on what was not chosen",
        won >= lost,
        f"{won} won, {lost} lost without the {len(others) - int(others.sum())} of feedback",
        "at least as many won as lost",
    )


def _class_drops(challenger: Evaluation, champion: Evaluation, rule: Rule) -> Check:
    """One lost picture in a class of two is no drop: the losses must be more than luck, too."""
    truth = np.array(challenger.truth, int)
    worse = []
    for index, name in enumerate(challenger.classes):
        old, new = champion.is_right[truth == index], challenger.is_right[truth == index]
        lost, won = int((old & ~new).sum()), int((new & ~old).sum())
        drop = (lost - won) / max(len(old), 1)
        if drop > rule.max_class_drop and mcnemar_mid_p(lost, won) < rule.alpha:
            worse.append(f"{name!r} -{100 * drop:.0f} points")
    return Check(
        "no class pays for it",
        not worse,
        ", ".join(worse[:5]) or "no clear drop",
        f"no recall may fall by more than {100 * rule.max_class_drop:.0f} points",
    )


def _first_reason(challenger: Evaluation, checks: tuple[Check, ...]) -> str:
    failed = _failures(checks)
    score = f"right on {challenger.correct} of {len(challenger.truth)} test examples"
    if failed:
        return f"not served: {failed} ({score})"
    return f"first model: {score}"


def _paired_reason(
    challenger: Evaluation,
    champion: Evaluation,
    wins: int,
    losses: int,
    checks: tuple[Check, ...],
) -> str:
    if challenger.model_version == champion.model_version:
        return "kept: this version serves already"
    score = (
        f"right on {challenger.correct} instead of {champion.correct} of "
        f"{len(challenger.truth)} test examples; {wins} won, {losses} lost"
    )
    failed = _failures(checks)
    return f"kept the present model: {failed} ({score})" if failed else f"better: {score}"


def _failures(checks: tuple[Check, ...]) -> str:
    return "; ".join(
        f"{check.name}: {check.observed}, required {check.required}"
        for check in checks
        if not check.passed
    )
