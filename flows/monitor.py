"""Count what endpoints were asked, and say whose questions have drifted."""

from prefect import flow

from tasks.drift import announce_drift, judge_drift
from tasks.usage import count_requests


@flow(timeout_seconds=600)
def monitor() -> list[str]:
    """Read the logs of every endpoint, judge those that were used; return those that now drift."""
    used = count_requests()
    if not used:
        return []
    unannounced = judge_drift(used)
    return announce_drift(unannounced) if unannounced else []
