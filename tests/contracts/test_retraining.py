"""When a project trains by itself, and why not."""

import pytest

from contracts.project_settings import NO_RETRAINING
from contracts.retraining import Cause, reason_against

WANTED = {"after_new_examples": 50, "on_drift": True, "every_days": 30}


@pytest.mark.parametrize("cause", Cause)
def test_nothing_starts_unless_its_owner_wants_it(cause: Cause) -> None:
    assert "wants no training" in reason_against(NO_RETRAINING, cause, 10_000, 10_000.0)


@pytest.mark.parametrize(
    ("cause", "new", "days", "said"),
    [
        (Cause.LABELS, 50, 0.0, ""),
        (Cause.LABELS, 49, 400.0, "49 new labels, 50 are waited for"),
        (Cause.DRIFT, 1, 0.0, ""),
        (Cause.DRIFT, 0, 400.0, "no new label"),
        (Cause.SCHEDULE, 0, 30.0, ""),
        (Cause.SCHEDULE, 49, 29.9, "29.9 of 30 days ago"),
    ],
)
def test_each_cause_has_its_rule(cause: Cause, new: int, days: float, said: str) -> None:
    found = reason_against(WANTED, cause, new, days)
    assert said in found
    assert bool(said) == bool(found)
