"""The monitor, with a real Prefect server, real log groups and the state table."""

import json
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.manifest import Kind
from flows.monitor import monitor
from lambdas import events
from lambdas.drift_records import DriftRecords
from lambdas.endpoints import Endpoints
from lambdas.state import ProjectRecord, VersionRecord
from lambdas.usage import UsageDays, day_after, day_of
from models.evaluation import Evaluation
from tasks import clients, storage
from tests.emulator_process import until
from tests.endpoint_log import Endpoint

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

MODEL, DATASET = "tuned-1", "d" * 64


@pytest.fixture
def serve(
    tasks_environment: pytest.MonkeyPatch,
    prefect_server: None,
    prefect_address: str,
    emulator: Any,
    request: pytest.FixtureRequest,
) -> Callable[..., Endpoint]:
    """Projects of this test, whose model was sure of its 60 test examples."""
    tasks_environment.setenv("PREFECT_API_URL", prefect_address)
    user = f"u{zlib.crc32(request.node.nodeid.encode()):08x}"

    def make(name: str, version: str = MODEL) -> Endpoint:
        project, state = Project(user, name), clients.state()
        state.create_project(ProjectRecord(project, Kind.IMAGE, ("cat", "dog")))
        promote(project, version)
        Endpoints(state.table).add(project, day_of(time.time()))
        return Endpoint(project, emulator.client("logs"))

    return make


def promote(project: Project, version: str) -> None:
    state, numbers = clients.state(), tuple(number % 2 for number in range(60))
    sure = tuple(0.9 + 0.001 * number for number in range(60))
    evaluation = Evaluation(
        *(version, DATASET, ("cat", "dog"), ("a" * 64,) * 60, numbers, numbers, sure, sure),
        rejected=(False,) * 60,
        latency_ms=5.0,
        bundle_size_bytes=1,
    )
    storage.put(ProjectKeys(project).evaluation(version, DATASET), evaluation.to_json())
    state.put_version(
        project, VersionRecord(version, "1", DATASET, "j1", time.time(), "ann", "better", 0.9)
    )
    state.update_project(project, model_version=version)


def requests_today(endpoint: Endpoint) -> int:
    days = UsageDays(clients.state(), endpoint.project)
    return days.day(day_of(time.time())).total.requests


def events_of(project: Project, address: str) -> list[dict[str, Any]]:
    wanted = {"filter": {"event": {"name": [events.DRIFTED]}}, "limit": 50}
    found = httpx.post(f"{address}/events/filter", json=wanted, timeout=20).json()["events"]
    identity = f"exemplar.project.{project.slug}"
    return [e for e in found if e["resource"]["prefect.resource.id"] == identity]


def now_ms() -> int:
    return int(time.time() * 1_000)


def test_new_lines_are_counted_and_quiet_endpoints_left_alone(
    serve: Callable[..., Endpoint],
) -> None:
    used, quiet = serve("used"), serve("quiet")
    used.ask(now_ms(), 3)
    assert monitor() == []
    assert (requests_today(used), requests_today(quiet)) == (3, 0)
    used.ask(now_ms(), 2)
    assert monitor() == []
    assert requests_today(used) == 5


def test_of_a_day_that_is_over_the_next_one_is_read(serve: Callable[..., Endpoint]) -> None:
    endpoint, today = serve("late"), day_of(time.time())
    endpoints = Endpoints(clients.state().table)
    endpoints.remove(endpoint.project)
    endpoints.add(endpoint.project, day_after(today, -2))
    endpoint.ask(now_ms() - 2 * 86_400_000, 4)
    endpoint.ask(now_ms(), 1)
    monitor()
    days = UsageDays(clients.state(), endpoint.project)
    assert days.day(day_after(today, -2)).total.requests == 4
    assert requests_today(endpoint) == 1
    # Yesterday may not be over yet, for a quarter of an hour.
    found = endpoints.find(endpoint.project)
    assert found is not None
    assert found.reading_day in {today, day_after(today, -1)}


def test_what_was_deleted_leaves_the_list_and_no_failure_stops_the_others(
    serve: Callable[..., Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, broken, used = serve("a-gone"), serve("b-broken"), serve("c-used")
    table = clients.state().table
    table.delete((f"USER#{gone.project.user}", f"PROJECT#{gone.project.name}"))
    table.put(
        (f"PROJECT#{broken.project.slug}", f"USAGE#{day_of(time.time())}"),
        {"settled_to_ms": now_ms(), "read_to_ms": 0, "revision": 0, "settled": {}, "recent": {}},
    )
    used.ask(now_ms(), 1)
    try:
        monitor()
    finally:
        Endpoints(table).remove(broken.project)
    assert requests_today(used) == 1
    assert Endpoints(table).find(gone.project) is None


def test_a_drift_is_told_once_and_again_when_it_comes_back(
    serve: Callable[..., Endpoint], prefect_address: str
) -> None:
    endpoint = serve("drifts")
    project, records = endpoint.project, DriftRecords(clients.state())
    endpoint.ask(now_ms(), 60, labels=("cat",), confidences=(0.94,))
    assert monitor() == []
    steady = records.find(project)
    assert steady is not None
    assert (steady.is_drifting, steady.examples) == (False, 60)

    endpoint.ask(now_ms(), 90, labels=("cat",), confidences=(0.55,))
    assert monitor() == [project.slug]
    endpoint.ask(now_ms(), 60, labels=("cat",), confidences=(0.55,))
    assert monitor() == []
    until(lambda: events_of(project, prefect_address) != [])
    (event,) = events_of(project, prefect_address)
    drifting = records.find(project)
    assert drifting is not None
    assert event["payload"] == {
        "user": project.user,
        "project": "drifts",
        "reason": event["payload"]["reason"],
    }
    assert "less sure" in event["payload"]["reason"]
    assert drifting.is_announced
    assert drifting.since == pytest.approx(time.time(), abs=60)

    # Killed between telling and writing it down, it is told again, and Prefect knows the event.
    assert records.put(project, replace(drifting, is_announced=False))
    endpoint.ask(now_ms(), 1)
    assert monitor() == [project.slug]
    time.sleep(1)
    assert len(events_of(project, prefect_address)) == 1

    # Another model has other test examples, and no answer yet.
    promote(project, "tuned-2")
    endpoint.ask(now_ms(), 10, model_version="tuned-2")
    assert monitor() == []
    fresh = records.find(project)
    assert fresh is not None
    assert (fresh.model_version, fresh.is_drifting, fresh.judged_at) == ("tuned-2", False, 0)
    endpoint.ask(now_ms(), 80, model_version="tuned-2", confidences=(0.5,))
    assert monitor() == [project.slug]
    until(lambda: len(events_of(project, prefect_address)) == 2)

    with get_client(sync_client=True) as client:
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=["drift"]))
        artifacts = client.read_artifacts(artifact_filter=wanted)
    rows = [row for artifact in artifacts for row in json.loads(str(artifact.data))]
    assert {"yes", "no"} == {row["drifting"] for row in rows if row["user"] == project.user}
