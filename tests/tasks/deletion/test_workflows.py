"""A project's flow runs stop before anything is removed; no other project's do."""

import threading
import time
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.states import Cancelled, Running

from contracts.identity import Project
from contracts.manifest import Kind
from lambdas import deletion as api
from lambdas.leases import exclusive
from lambdas.state import ProjectRecord
from tasks import clients
from tasks.deletion import steps, workflows
from tasks.deletion.tally import Deletion
from tasks.settings import settings

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@flow
def goes_on() -> None:
    """Stands for a training that is running."""


def begun(name: str) -> Deletion:
    project = Project("wes", name)
    clients.state().create_project(ProjectRecord(project, Kind.IMAGE, ("cat", "dog")))
    return Deletion(project, api.delete(clients.state(), project).receipt_id)


def running(slug: str) -> Any:
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(goes_on, state=Running(), tags=[f"project:{slug}"])
    return run.id


def state_of(run: Any) -> Any:
    with get_client(sync_client=True) as client:
        return client.read_flow_run(run).state


def test_it_waits_until_they_have_ended(
    places: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflows, "_POLL_SECONDS", 0.1)
    deletion = begun("busy")
    run, other = running("wes_busy"), running("wes_busy-not")
    waiter = threading.Thread(target=workflows.end_runs, args=(deletion,))
    waiter.start()
    while not state_of(run).is_cancelling():
        time.sleep(0.05)
    assert waiter.is_alive()
    assert deletion.receipt().message == "waiting for 1 of its trainings to stop"
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run, Cancelled(), force=True)
    waiter.join(20)
    assert not waiter.is_alive()
    assert state_of(other).is_running()


def test_one_that_does_not_stop_in_time_is_ended_by_force(places: pytest.MonkeyPatch) -> None:
    places.setenv("EXEMPLAR_DELETION_WAIT_SECONDS", "0.1")
    settings.cache_clear()
    deletion, run = begun("hangs"), running("wes_hangs")
    workflows.end_runs(deletion)
    assert state_of(run).is_cancelled()


def test_runs_of_a_new_project_of_that_name_go_on(places: pytest.MonkeyPatch) -> None:
    deletion = begun("renewed")
    clients.state().remove_project(deletion.project, deletion.receipt_id)
    clients.state().create_project(ProjectRecord(deletion.project, Kind.IMAGE, ("a", "b")))
    run = running("wes_renewed")
    for is_late in (False, True):
        workflows.end_runs(Deletion(deletion.project, deletion.receipt_id, is_late))
    assert state_of(run).is_running()


def test_it_does_not_begin_before_a_release_is_over(places: pytest.MonkeyPatch) -> None:
    deletion, order = begun("released"), []

    def hold() -> None:
        with exclusive(clients.state().table, deletion.project, "release"):
            held.set()
            time.sleep(0.5)
            order.append("released")

    held = threading.Event()
    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    with steps.alone(deletion):
        order.append("deleting")
    holder.join()
    assert order == ["released", "deleting"]
