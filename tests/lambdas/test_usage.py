"""Lines of real log groups become usage, each once, whoever is killed when."""

import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts.answer_counts import AnswerCounts
from contracts.identity import Project
from contracts.manifest import Kind
from contracts.request_line import RequestLine
from contracts.status import Job
from lambdas import environment
from lambdas.drift_records import DriftRecord, DriftRecords
from lambdas.state import ProjectRecord
from lambdas.tally import Tally
from lambdas.usage import DayUsage, UsageDays, day_after, day_of, day_start_ms, months_between
from lambdas.usage_reading import LATE_MS, Reader
from tests.endpoint_log import MEMORY, Endpoint

Call = Callable[..., tuple[int, Any]]
DAY = "2026-11-20"
NOON = day_start_ms(DAY) + 12 * 3_600_000
MINUTE = 60_000


@pytest.fixture
def endpoint(request: pytest.FixtureRequest, emulator: Any) -> Endpoint:
    project = Project("ann", f"p{zlib.crc32(request.node.nodeid.encode()):08x}")
    environment.state().create_project(ProjectRecord(project, Kind.IMAGE, ("cat", "dog")))
    return Endpoint(project, emulator.client("logs"))


def read(endpoint: Endpoint, now_ms: int, usage: DayUsage | None = None) -> DayUsage:
    reader = Reader(environment.logs(), environment.stack())
    return reader.read_all(endpoint.project, usage or DayUsage.of(DAY), now_ms)


def test_statuses_answers_and_costs_are_told_apart(endpoint: Endpoint) -> None:
    endpoint.ask(NOON, 3)
    endpoint.ask(NOON, labels=(None,), confidences=(0.4,), is_cold=True)
    endpoint.ask(NOON, labels=("cat", "dog", None), confidences=(0.9, 0.8, 0.3))
    endpoint.ask(NOON, is_explained=True, ms=500.0)
    endpoint.ask(NOON, status=401, labels=(), confidences=())
    endpoint.ask(NOON, status=503, labels=(), confidences=())
    endpoint.ask(NOON, labels=(), confidences=())  # a health check
    endpoint.ask(NOON, is_trial=True)
    endpoint.die(NOON)
    total = read(endpoint, NOON + MINUTE).total
    assert (total.requests, total.ok, total.refused, total.failed) == (9, 6, 1, 2)
    assert (total.examples, total.none, total.explained, total.cold_starts) == (8, 2, 1, 1)
    assert sum(total.latency.values()) == 5  # explanations take their time
    assert (total.calls, total.mib_ms) == (11, 1_024 * (10 * 10 + 30_000))
    counts = total.versions["tuned-1"]
    assert {name: sum(bins.values()) for name, bins in counts.labels.items()} == {
        "cat": 5,
        "dog": 1,
    }
    assert counts.total == 8


def test_of_a_model_in_an_image_the_endpoint_counts_and_both_cost(endpoint: Endpoint) -> None:
    endpoint.ask(NOON, 2, is_forwarded=True)
    inner = [
        f"[INFO]\tx\t{n}\t{RequestLine(str(n), 200, 5.0, 'm', ('a',), (0.9,)).to_json()}"
        for n in range(3)
    ]
    reports = [f"REPORT RequestId: {n}\tx\tBilled Duration: 5 ms{MEMORY}" for n in range(3)]
    endpoint.log(NOON, [*inner, *reports, reports[0] + "\tStatus: timeout"], of_image=True)
    total = read(endpoint, NOON + MINUTE).total
    assert (total.requests, total.failed, total.calls) == (2, 0, 2 + 4)
    assert total.mib_ms == 1_024 * (2 * 10 + 4 * 5)


def test_an_endpoint_without_a_log_has_no_usage(endpoint: Endpoint) -> None:
    usage = read(endpoint, NOON)
    assert (usage.total, usage.read_to_ms) == (Tally(), NOON)


def test_however_often_it_is_read_a_line_counts_once_and_late_ones_count(
    endpoint: Endpoint,
) -> None:
    days = UsageDays(environment.state(), endpoint.project)
    written = 0
    for step in range(0, 60, 7):
        now = NOON + step * MINUTE
        endpoint.ask(now - 1)
        endpoint.ask(now - LATE_MS + MINUTE)  # comes fourteen minutes late
        written += 2
        assert days.put(read(endpoint, now, days.day(DAY)))
        assert days.day(DAY).total.requests == written
    usage = read(endpoint, day_start_ms(DAY) + 86_400_000 + LATE_MS, days.day(DAY))
    assert usage.is_complete
    assert (usage.settled.requests, usage.recent) == (written, Tally())


def test_a_day_that_was_missed_is_read_in_parts_to_the_same_end(endpoint: Endpoint) -> None:
    for hour in range(24):
        endpoint.ask(day_start_ms(DAY) + hour * 3_600_000)
    endpoint.ask(day_start_ms(day_after(DAY)))  # belongs to the next day
    tomorrow = day_start_ms(DAY) + 2 * 86_400_000
    usage = read(endpoint, tomorrow)
    assert (usage.is_complete, usage.total.requests) == (True, 24)


def test_of_two_that_count_at_once_one_is_stored(endpoint: Endpoint) -> None:
    endpoint.ask(NOON, 3)
    days = UsageDays(environment.state(), endpoint.project)
    late = NOON + 2 * LATE_MS
    both = [read(endpoint, late, days.day(DAY)) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(days.put, both)) == [False, True]
    assert days.day(DAY).total.requests == 3
    assert not days.put(both[0])  # nor later


def test_nothing_is_stored_of_a_project_that_is_being_deleted(endpoint: Endpoint) -> None:
    endpoint.ask(NOON)
    state = environment.state()
    days, usage = UsageDays(state, endpoint.project), read(endpoint, NOON + MINUTE)
    state.mark_deletion(endpoint.project, "receipt-1")
    assert not days.put(usage)
    assert not DriftRecords(state).put(endpoint.project, DriftRecord(AnswerCounts(), "m"))
    assert days.month(DAY[:7]) == []


COUNT = """
import os, signal, sys
import boto3
from contracts.answer_counts import AnswerCounts
from contracts.identity import Project
from lambdas import environment
from lambdas.usage import UsageDays
from lambdas.usage_reading import Reader

project, day, now, when = Project("ann", sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
days = UsageDays(environment.state(), project)
usage = Reader(environment.logs(), environment.stack()).read_all(project, days.day(day), now)
if when == "before":
    os.kill(os.getpid(), signal.SIGKILL)
days.put(usage)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_reader_that_is_killed_between_counting_and_storing_loses_and_doubles_nothing(
    endpoint: Endpoint,
) -> None:
    days = UsageDays(environment.state(), endpoint.project)
    for number, when in enumerate(("before", "after", "before", "after")):
        now = NOON + 20 * number * MINUTE
        endpoint.ask(now - 1, 2)
        words = [endpoint.project.name, DAY, str(now), when]
        root = Path(__file__).parents[2]
        done = subprocess.run([sys.executable, "-c", COUNT, *words], cwd=root, check=False)
        assert done.returncode == -signal.SIGKILL
        stored = days.day(DAY).total.requests
        assert stored == (2 * (number + 1) if when == "after" else 2 * number)
    assert days.day(DAY).revision == 2


def test_days_and_months() -> None:
    assert day_of(0) == "1970-01-01"
    assert day_after("2026-02-28") == "2026-03-01"
    assert day_after("2027-01-01", -1) == "2026-12-31"
    assert months_between("2026-11-30", "2027-02-01") == [
        "2026-11",
        "2026-12",
        "2027-01",
        "2027-02",
    ]
    assert months_between("2026-11-01", "2026-11-30") == ["2026-11"]


def served(endpoint: Endpoint) -> None:
    environment.state().update_project(endpoint.project, endpoint="https://x.lambda-url.example/")


def test_the_call_tells_what_was_logged_a_moment_ago(endpoint: Endpoint, call: Call) -> None:
    served(endpoint)
    state, now = environment.state(), int(time.time() * 1_000)
    state.create_job(Job(endpoint.project, "j1", "u1", dollars=1.25))
    endpoint.ask(max(now - 10, day_start_ms(day_of(now / 1_000))), 3)
    status, found = call("GET", f"/v1/projects/{endpoint.project.name}/usage")
    assert status == 200
    (day,) = found["days"]
    assert (day["day"], day["requests"]) == (day_of(now / 1_000), 3)
    assert found["total"]["p50_ms"] == pytest.approx(10, rel=0.05)
    assert found["total"]["versions"]["tuned-1"]["labels"] == {"cat": 3}
    (month,) = found["months"]
    assert month["training_dollars"] == 1.25
    assert month["endpoint_dollars"] == pytest.approx(3 * (2e-7 + 0.01 * 1.66667e-5), rel=0.2)
    assert found["read_to"] == pytest.approx(time.time(), abs=60)
    assert found["drift"] is None
    # Nothing was stored by the call, and nothing of it is shown to another.
    assert UsageDays(state, endpoint.project).month(month["month"]) == []
    path = f"/v1/projects/{endpoint.project.name}/usage"
    assert call("GET", path, user="bob")[0] == 404


def test_without_the_logs_the_call_tells_what_is_stored(
    endpoint: Endpoint, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    served(endpoint)
    today = day_of(time.time())
    days = UsageDays(environment.state(), endpoint.project)
    days.put(replace(DayUsage.of(today), settled=Tally(requests=7, ok=7)))
    environment.logs.cache_clear()
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_LOGS", "http://127.0.0.1:9")
        environment.logs()
    _, found = call("GET", f"/v1/projects/{endpoint.project.name}/usage?days=1")
    assert found["total"]["requests"] == 7
    environment.logs.cache_clear()


@pytest.mark.parametrize("days", ["0", "367", "-1", "x", "1e3", "٣", "9" * 5_000])
def test_days_are_bounded(endpoint: Endpoint, call: Call, days: str) -> None:
    served(endpoint)
    status, found = call("GET", f"/v1/projects/{endpoint.project.name}/usage?days={days}")
    assert (status, found["error"]["code"]) == (400, "invalid_request")
