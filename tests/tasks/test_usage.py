"""Endpoints are caught up with at whatever times the monitor happens to run."""

import random
import zlib
from typing import Any

import pytest

from contracts.identity import Project
from contracts.manifest import Kind
from lambdas.endpoints import Endpoints
from lambdas.state import ProjectRecord
from lambdas.usage import UsageDays, day_after, day_start_ms
from tasks import clients
from tasks.usage import catch_up
from tests.endpoint_log import Endpoint

pytestmark = pytest.mark.usefixtures("tasks_environment")

DAY, MINUTE = "2026-11-20", 60_000
MIDNIGHT = day_start_ms(day_after(DAY))


@pytest.fixture
def endpoint(tasks_environment: Any, emulator: Any, request: pytest.FixtureRequest) -> Endpoint:
    project = Project("tess", f"p{zlib.crc32(request.node.nodeid.encode()):08x}")
    clients.state().create_project(ProjectRecord(project, Kind.IMAGE, ("cat", "dog")))
    Endpoints(clients.state().table).add(project, DAY)
    return Endpoint(project, emulator.client("logs"))


def run_at(endpoint: Endpoint, now_ms: int) -> bool:
    found = Endpoints(clients.state().table).find(endpoint.project)
    assert found is not None
    return catch_up(found, now_ms)


def requests_on(endpoint: Endpoint, day: str) -> int:
    return UsageDays(clients.state(), endpoint.project).day(day).total.requests


def test_around_midnight_nothing_is_lost_and_the_next_day_is_gone_on_with(
    endpoint: Endpoint,
) -> None:
    endpoint.ask(MIDNIGHT - 5 * MINUTE, 2)
    assert run_at(endpoint, MIDNIGHT - 2 * MINUTE)
    endpoint.ask(MIDNIGHT - 1, 3)
    endpoint.ask(MIDNIGHT, 4)
    assert run_at(endpoint, MIDNIGHT + 5 * MINUTE)
    endpoint.ask(MIDNIGHT - 3 * MINUTE, 1)  # late
    run_at(endpoint, MIDNIGHT + 10 * MINUTE)
    for minutes in (16, 20, 40):
        run_at(endpoint, MIDNIGHT + minutes * MINUTE)
    assert requests_on(endpoint, DAY) == 6
    assert requests_on(endpoint, day_after(DAY)) == 4
    found = Endpoints(clients.state().table).find(endpoint.project)
    assert found is not None
    assert found.reading_day == day_after(DAY)


def test_at_any_times_over_days_each_line_counts_once(endpoint: Endpoint) -> None:
    chance = random.Random(0)
    asked, now = {DAY: 0, day_after(DAY): 0, day_after(DAY, 2): 0}, day_start_ms(DAY)
    while now < day_start_ms(day_after(DAY, 3)):
        earlier = now
        now += chance.choice((7, 10, 90, 400)) * MINUTE
        for _ in range(2):
            at = chance.randrange(max(earlier, now - 14 * MINUTE), now)
            for day in asked:
                asked[day] += day_start_ms(day) <= at < day_start_ms(day_after(day))
            endpoint.ask(at)
        run_at(endpoint, now)
    assert {day: requests_on(endpoint, day) for day in asked} == asked


def test_a_quiet_endpoint_is_hardly_written_of(endpoint: Endpoint) -> None:
    days = UsageDays(clients.state(), endpoint.project)
    for minutes in range(0, 240, 10):
        assert not run_at(endpoint, day_start_ms(DAY) + minutes * MINUTE)
    assert days.day(DAY).revision <= 4
