"""Whether a project trains anew by itself: what sets it off, and what its owner wants."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Cause(StrEnum):
    """What sets a training off that nobody starts by hand."""

    LABELS = "labels"  # enough new ones came as feedback
    DRIFT = "drift"  # what the endpoint is asked about has changed
    SCHEDULE = "schedule"


def reason_against(wanted: Mapping[str, Any], cause: Cause, new: int, days: float) -> str:
    """Why nothing is started, or nothing where it is.

    `wanted` is the project's setting `retrain`, `new` how many labels came since the last training
    and `days` how long ago that began. Drift alone gives nothing to learn from, so it waits for
    labels; a schedule does not.
    """
    threshold, every_days = wanted["after_new_examples"], wanted["every_days"]
    if cause is Cause.LABELS:
        if not threshold:
            return "its owner wants no training after new labels"
        return "" if new >= threshold else f"{new} new labels, {threshold} are waited for"
    if cause is Cause.DRIFT:
        if not wanted["on_drift"]:
            return "its owner wants no training on drift"
        return "" if new else "there is no new label to learn from"
    if not every_days:
        return "its owner wants no training on a schedule"
    return "" if days >= every_days else f"the last one was {days:.1f} of {every_days} days ago"
