"""Starting pipelines on a real Prefect server."""

import socket
import time
from typing import Any
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import PREFECT_API_URL

from contracts.errors import Unavailable
from contracts.identity import Project
from contracts.requests import TrainRequest
from contracts.turns import queues
from deployments.work_pools import create_queues
from lambdas import orchestrator

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@flow
def started(
    user: str,
    project: str,
    upload: str,
    job_id: str,
    model: str,
    recipe: str,
    seed: int,
    budget_seconds: int,
) -> None:
    """Stands for the pipeline: nobody runs it here."""


@pytest.fixture
def prefect(prefect_server: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))
    monkeypatch.setenv("EXEMPLAR_PIPELINE", "started/pipeline")
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="many", type="process"), overwrite=True)
        create_queues(client, "many", 8)
        client.create_deployment(client.create_flow(started), "pipeline", work_pool_name="many")
        yield client


def start(user: str, job: str) -> str:
    return orchestrator.start_pipeline(Project(user, "cats"), job, TrainRequest(upload="u1"))


def test_users_take_turns(prefect: Any) -> None:
    """Ann has sent five jobs before Bob's first, which is served before her second."""
    sent = [start("ann", f"a{number}") for number in range(5)] + [start("bob", "b0")]
    assert [prefect.read_flow_run(UUID(run)).work_queue_name for run in sent] == [
        "turn-1",
        "turn-2",
        "turn-3",
        "turn-4",
        "turn-4",
        "turn-1",
    ]
    waiting = prefect.request(
        "POST", "/work_pools/{name}/get_scheduled_flow_runs", path_params={"name": "many"}, json={}
    )
    served = [entry["flow_run"]["name"].rpartition("-")[2] for entry in waiting.json()]
    assert served == ["a0", "b0", "a1", "a2", "a3", "a4"]


def test_a_job_sent_twice_is_one_run(prefect: Any) -> None:
    assert start("carol", "c0") == start("carol", "c0")


def test_queues_are_served_by_priority_and_keep_their_settings(prefect: Any) -> None:
    found = {queue.name: queue for queue in prefect.read_work_queues(work_pool_name="many")}
    names = [name for name, _ in queues(8)]
    assert sorted(names, key=lambda name: found[name].priority) == names
    prefect.update_work_queue(found["turn-2"].id, concurrency_limit=5)
    create_queues(prefect, "many", 8)
    again = {queue.name: queue for queue in prefect.read_work_queues(work_pool_name="many")}
    assert again["turn-2"].concurrency_limit == 5


def test_jobs_that_are_being_started_count_before_prefect_knows_them(prefect: Any) -> None:
    run = orchestrator.start_pipeline(
        Project("cat", "cats"), "c9", TrainRequest(upload="u1"), {"c7", "c8", "c9"}
    )
    assert prefect.read_flow_run(UUID(run)).work_queue_name == "turn-3"


@flow
def follow(user: str, project: str) -> None:
    """Stands for the flow that tells the registry."""


def test_a_rollback_is_followed_once(prefect: Any) -> None:
    flow_id = prefect.create_flow(follow)
    prefect.create_deployment(flow_id, "follow", work_pool_name="many")
    run = orchestrator.start_following(Project("ann", "cats"), 7)
    assert orchestrator.start_following(Project("ann", "cats"), 7) == run
    assert orchestrator.start_following(Project("ann", "cats"), 8) != run
    assert prefect.read_flow_run(UUID(run)).parameters == {"user": "ann", "project": "cats"}


def test_where_nobody_answers_a_rollback_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, says nothing
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/api"
        monkeypatch.setenv("PREFECT_API_URL", address)
        monkeypatch.setattr(orchestrator, "_SHORT_TIMEOUT_SECONDS", 0.2)
        started = time.monotonic()
        with pytest.raises(Unavailable):
            orchestrator.start_following(Project("ann", "cats"), 1)
    assert time.monotonic() - started < 3
