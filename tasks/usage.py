"""Counting what endpoints have logged since they were looked at last."""

import time
from dataclasses import replace
from typing import Final

from prefect import task
from prefect.logging import get_run_logger

from contracts.errors import BeingDeleted, NotFound
from contracts.identity import Project
from lambdas.endpoints import Endpoint, Endpoints
from lambdas.tally import Tally
from lambdas.usage import DayUsage, UsageDays, day_after, day_of
from lambdas.usage_reading import Reader
from tasks import clients
from tasks.settings import settings

# What of a quiet endpoint is searched again and again; an item is written when it gets longer.
_QUIET_MS: Final = 3_600_000
_NOTHING: Final = Tally()


# Retries: CloudWatch and the table may stumble; reading lines twice is harmless.
@task(retries=2, retry_delay_seconds=[5, 20])
def count_requests() -> list[Project]:
    """Bring the usage of every endpoint up to date; return those that something was found of.

    One that cannot be read does not keep the others waiting.
    """
    table, now_ms = clients.state().table, int(time.time() * 1_000)
    used = []
    for endpoint in Endpoints(table).all():
        try:
            if catch_up(endpoint, now_ms):
                used.append(endpoint.project)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, the others are counted
            get_run_logger().exception("%s is not counted", endpoint.project.slug)
    return used


def catch_up(endpoint: Endpoint, now_ms: int) -> bool:
    """Count an endpoint's lines day by day; return whether there were any."""
    project, day = endpoint.project, endpoint.reading_day
    endpoints, is_used = Endpoints(clients.state().table), False
    if not _exists(project):  # it came on the list again while it was being deleted
        endpoints.remove(project)
        return False
    while day <= day_of(now_ms / 1_000):
        usage, has_lines = _catch_up_day(project, day, now_ms)
        is_used = is_used or has_lines
        if not usage.is_complete:
            break
        day = day_after(day)
        endpoints.move_on(project, day)
    return is_used


def _exists(project: Project) -> bool:
    try:
        clients.state().project(project)
    except (NotFound, BeingDeleted):
        return False
    return True


def _catch_up_day(project: Project, day: str, now_ms: int) -> tuple[DayUsage, bool]:
    reader = Reader(clients.logs(), settings().stack)
    days, is_used = UsageDays(clients.state(), project), False
    usage = days.day(day)
    while not usage.is_complete:
        before, usage = usage, reader.read_on(project, usage, now_ms)
        has_lines = usage.settled != before.settled or not (
            before.recent == usage.recent == _NOTHING
        )
        is_used = is_used or has_lines
        if has_lines or usage.settled_to_ms - before.settled_to_ms >= _QUIET_MS:
            if not days.put(usage):  # another is counting, or the endpoint is gone
                return before, is_used
            usage = replace(usage, revision=usage.revision + 1)
        if usage.read_to_ms >= min(usage.end_ms, now_ms):
            break
    return usage, is_used
