"""When a new version is clearly worse, and when it only looks so."""

import numpy as np
import pytest

from models.canary import Answers, compare

MANY = Answers(400, 4, 8, tuple(np.linspace(8, 14, 388)))


def answers(total: int, failed: int = 0, refused: int = 0, ms: float = 10.0) -> Answers:
    times = tuple(np.linspace(0.8 * ms, 1.2 * ms, total - failed - refused))
    return Answers(total, failed, refused, times)


@pytest.mark.parametrize(
    ("new", "old", "reason"),
    [
        (answers(3, failed=3), MANY, "more answers failed"),
        (answers(40, failed=8), MANY, "more answers failed"),
        (answers(3, failed=3), Answers(), "more answers failed"),  # hardly asked before
        (answers(40, refused=12), MANY, "more requests were refused"),
        (answers(40, ms=60), MANY, "answers took longer"),
    ],
)
def test_what_is_clearly_worse(new: Answers, old: Answers, reason: str) -> None:
    verdict = compare(new, old)
    assert verdict.is_worse
    assert verdict.reason.startswith(reason)
    assert f"{new.total:,} answers" in verdict.reason


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (Answers(), Answers()),
        (Answers(), MANY),
        (answers(1, failed=1), MANY),
        (answers(2, failed=2), Answers()),
        (answers(40, failed=1, refused=1), MANY),
        (answers(40, refused=40), Answers()),  # the callers' fault, for all that is known
        (answers(40, failed=20), answers(400, failed=200)),  # as bad as before
        (answers(40, ms=14), MANY),  # slower, but not by much
        (answers(19, ms=900), MANY),  # too few to tell
        (answers(40, ms=900), answers(19)),
        (Answers(40, 0, 0, (*[10.0] * 38, 900.0, 900.0)), MANY),  # two that were unlucky
    ],
)
def test_what_may_be_luck(new: Answers, old: Answers) -> None:
    assert not compare(new, old).is_worse


def test_an_equally_good_version_is_rarely_ended_however_often_one_looks() -> None:
    """Each canary is looked at 60 times; one look at `alpha` errs in 0.1 % of the cases."""
    chance, wrong = np.random.default_rng(0), 0
    for _ in range(60):
        failed = chance.random((2, 500)) < 0.02
        times = 15 * np.exp(0.5 * chance.standard_normal((2, 500)))
        looks = [
            compare(
                *(
                    Answers(n, int(f[:n].sum()), 0, tuple(t[:n][~f[:n]]))
                    for n, f, t in zip((look, 9 * look), failed, times, strict=True)
                )
            ).is_worse
            for look in range(1, 56)
        ]
        wrong += any(looks)
    assert wrong <= 3
