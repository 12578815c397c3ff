"""The call that tells how much an endpoint is used, how fast it is, and what that costs."""

import time
from collections.abc import Iterator
from typing import Final

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.logging import Logger
from botocore.exceptions import BotoCoreError, ClientError

from contracts import schema
from contracts.errors import InvalidRequest
from contracts.identity import Project
from contracts.prices import AS_OF
from lambdas import environment, usage_answer
from lambdas.drift_records import DriftRecords
from lambdas.endpoints import Endpoints
from lambdas.function_logs import TooManyLines
from lambdas.routes.description import described
from lambdas.routes.exchange import answer, project_named, router
from lambdas.state import ProjectRecord
from lambdas.tally import Tally
from lambdas.usage import DayUsage, UsageDays, day_after, day_of, months_between
from lambdas.usage_reading import Reader
from lambdas.usage_report import day_row, figures, month_rows

MOST_DAYS: Final = 366
_PAGES: Final = 4  # of log lines, a megabyte each, that one call reads
_JOBS: Final = 10_000

log = Logger(service="exemplar-api", level="WARNING")


@router.get("/v1/projects/<name>/usage")
@described(
    answers={200: usage_answer.usage},
    query={"days": schema.whole(1, MOST_DAYS, "How many, today among them; 30 by default.")},
)
def show_usage(name: str) -> Response[str]:
    """Requests, errors, latency and cost by day, lines of this moment among them; and drift."""
    project, days = project_named(name), _days()
    record = environment.state().project(project)
    now = time.time()
    first = day_after(day_of(now), 1 - days)
    usages = _usages(record, first, now)
    shown = [usage for usage in usages if usage.day >= first]
    total = Tally().merged(*(usage.total for usage in shown))
    drift = DriftRecords(environment.state()).find(project)
    found = {
        "project": project.name,
        "days": [day_row(usage) for usage in shown],
        "total": figures(total),
        "months": month_rows(usages, _trainings(project, first[:7])),
        "prices_as_of": AS_OF,
        "read_to": usages[-1].read_to_ms / 1_000 if usages else None,
        "drift": drift.as_dict() if drift and drift.judged_at else None,
    }
    return answer(200, found)


def _days() -> int:
    text = router.current_event.get_query_string_value("days", "30") or ""
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) <= MOST_DAYS:
        raise InvalidRequest(
            f"'days' is {text[:60]!r}, it must be a number from 1 to {MOST_DAYS}",
            fix="use a value such as days=30",
        )
    return int(text[:9])


def _usages(record: ProjectRecord, first: str, now: float) -> list[DayUsage]:
    """All days of the months since `first`, in order, up to this moment."""
    days = UsageDays(environment.state(), record.project)
    months = months_between(first, day_of(now))
    found = {usage.day: usage for month in months for usage in days.month(month)}
    if record.endpoint:
        found |= {usage.day: usage for usage in _unsettled(record.project, found, now)}
    return [found[day] for day in sorted(found)]


def _unsettled(project: Project, found: dict[str, DayUsage], now: float) -> Iterator[DayUsage]:
    """Today, and yesterday until its last lines have come, with what was logged meanwhile."""
    endpoints, today = Endpoints(environment.state().table), day_of(now)
    endpoints.add(project, today)  # one that was made before there was a list
    endpoint = endpoints.find(project)
    reader = Reader(environment.logs(), environment.stack(), _PAGES)
    for day in (day_after(today, -1), today):
        if endpoint is None or day < endpoint.reading_day:
            continue
        usage = found.get(day) or DayUsage.of(day)
        try:
            yield reader.read_all(project, usage, int(now * 1_000))
        except (BotoCoreError, ClientError, TooManyLines) as error:
            log.warning("lines not read", extra={"project": project.slug, "error": str(error)})
            yield usage


def _trainings(project: Project, first_month: str) -> dict[str, float]:
    """Dollars by the month in which a training was asked for."""
    dollars: dict[str, float] = {}
    for job in environment.state().jobs(project, limit=_JOBS):
        month = day_of(job.created_at)[:7]
        if job.dollars is not None and month >= first_month:
            dollars[month] = dollars.get(month, 0.0) + job.dollars
    return dollars
