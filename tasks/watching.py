"""Looking at a new version beside the one before it, as long as the project's owner wants."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from contracts.identity import Project
from models.canary import Verdict, compare
from tasks.function_log import FunctionLog
from tasks.settings import settings


@dataclass(frozen=True, slots=True)
class Pair:
    """Lambda versions that are compared."""

    new: str
    old: str


def watch_beside(
    project: Project, pair: Pair, since: float, until: float, look_up: Callable[[Verdict], None]
) -> Verdict:
    """Both versions answer calls between these times; end early when the new one is worse.

    `look_up` hears of each look and may raise to end it.
    """
    log = FunctionLog(project, since)
    return _watch(log, log, pair, until, look_up)


def watch_after(
    project: Project, pair: Pair, since: float, until: float, look_up: Callable[[Verdict], None]
) -> Verdict:
    """The new version has answered alone `since` then; the old one is known from before that."""
    past = FunctionLog(project, since - max(until - since, _PAST_SECONDS), since)
    past.read()
    return _watch(FunctionLog(project, since), past, pair, until, look_up)


_PAST_SECONDS = 1_800.0  # quiet endpoints are known by a longer time


def _watch(
    present: FunctionLog,
    past: FunctionLog,
    pair: Pair,
    until: float,
    look_up: Callable[[Verdict], None],
) -> Verdict:
    while True:
        left = until - time.time()
        present.read()
        verdict = compare(present.answers(pair.new), past.answers(pair.old))
        look_up(verdict)
        if verdict.is_worse or left <= 0:
            return verdict
        time.sleep(min(settings().watch_poll_seconds, left))
