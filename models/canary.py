"""When a new version answers clearly worse than the one before it: three tests on their answers.

*Failures* (5xx, crashes) and *refusals* (4xx) are compared by Fisher's exact test, one-sided.
For *slowness* the new version's 95th percentile must be above `slow_ratio` times the other's, and
the share of answers beyond that must be higher by the same test. Answers are looked at again and
again while they come in, so `alpha` is small.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from models.statistics import fisher_greater


@dataclass(frozen=True, slots=True)
class Answers:
    """What one version has answered; crashes are failures without a time."""

    total: int = 0
    failed: int = 0
    refused: int = 0
    milliseconds: tuple[float, ...] = ()  # of good answers that had nothing to load first

    @property
    def p95_ms(self) -> float | None:
        """Within which 95 % of the answers came; None where there are none."""
        return float(np.percentile(self.milliseconds, 95)) if self.milliseconds else None

    def as_dict(self) -> dict[str, Any]:
        """What is recorded."""
        p95 = self.p95_ms
        return {
            "answers": self.total,
            "failed": self.failed,
            "refused": self.refused,
            "p95_ms": None if p95 is None else round(p95, 1),
        }

    def sentence(self) -> str:
        """In words."""
        p95 = "" if self.p95_ms is None else f", 95 % within {self.p95_ms:.0f} ms"
        return f"{self.total:,} answers, {self.failed:,} failed, {self.refused:,} refused{p95}"


@dataclass(frozen=True, slots=True)
class WatchRule:
    """What counts as clearly worse. Rates are 0..1."""

    alpha: float = 0.001  # of each test, at each look
    slow_ratio: float = 1.5
    min_slow_ms: float = 20.0  # by so much at least must it be slower: less nobody notices
    min_timed: int = 20  # answers of each version, before their times say anything
    # A version that was released has passed its tests: where it has hardly been asked lately, it is
    # taken to have answered so often without a failure.
    assumed_answers: int = 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the new version is worse, and by which of the tests."""

    is_worse: bool
    reason: str
    new: Answers
    old: Answers


DEFAULT_RULE: Final = WatchRule()


def compare(new: Answers, old: Answers, rule: WatchRule = DEFAULT_RULE) -> Verdict:
    """Look at what both versions have answered so far."""
    asked = max(old.total, rule.assumed_answers)
    if fisher_greater(new.failed, new.total, old.failed, asked) < rule.alpha:
        return _worse("more answers failed", new, old)
    if fisher_greater(new.refused, new.total, old.refused, old.total) < rule.alpha:
        return _worse("more requests were refused", new, old)
    if _is_slower(new, old, rule):
        return _worse("answers took longer", new, old)
    return Verdict(False, _both(new, old), new, old)


def _is_slower(new: Answers, old: Answers, rule: WatchRule) -> bool:
    if min(len(new.milliseconds), len(old.milliseconds)) < rule.min_timed:
        return False
    assert new.p95_ms is not None
    assert old.p95_ms is not None
    limit = max(rule.slow_ratio * old.p95_ms, old.p95_ms + rule.min_slow_ms)
    slow, slow_before = (sum(ms > limit for ms in a.milliseconds) for a in (new, old))
    chance = fisher_greater(slow, len(new.milliseconds), slow_before, len(old.milliseconds))
    return new.p95_ms > limit and chance < rule.alpha


def _worse(what: str, new: Answers, old: Answers) -> Verdict:
    return Verdict(True, f"{what}: {_both(new, old)}", new, old)


def _both(new: Answers, old: Answers) -> str:
    return f"new version {new.sentence()}; before {old.sentence()}"
