"""The flow that deletes a project, run by Prefect's engine against a real server."""

import time
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter

from contracts.identity import Project
from contracts.manifest import Kind
from flows.delete import delete
from lambdas import deletion as api
from lambdas.receipts import Receipts
from lambdas.state import ProjectRecord
from tasks import clients
from tasks.deletion import endpoints, steps
from tests.tasks.deletion.conftest import (  # fixtures
    Furnish,
    Look,
    furnish,
    look,
    places,
    tracking_store,
)

__all__ = ["furnish", "look", "places", "tracking_store"]
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"
)


def runs_named(name: str) -> list[Any]:
    with get_client(sync_client=True) as client:
        wanted = FlowRunFilter.model_validate({"name": {"any_": [name]}})
        return client.read_flow_runs(flow_run_filter=wanted)


def test_a_project_goes_and_a_look_again_is_planned(furnish: Furnish, look: Look) -> None:
    project = Project("flo", "whole")
    wanted = furnish(project)
    receipt_id = api.delete(clients.state(), project).receipt_id
    delete("flo", "whole", receipt_id)
    receipt = Receipts(clients.state().table).receipt("flo", receipt_id)
    assert receipt.counts == wanted
    assert receipt.is_done
    assert look(project) == {}
    assert (receipt.progress, receipt.failure, receipt.message) == (1.0, {}, "deleted")
    assert not any("mlflow gc" in line for line in receipt.stays)
    (late,) = runs_named(f"delete-{receipt_id}-late")
    wait = late.expected_start_time.timestamp() - time.time()
    assert 3_600 < wait <= steps.LATE_SECONDS
    delete(**late.parameters)
    again = Receipts(clients.state().table).receipt("flo", receipt_id)
    assert again.counts == wanted
    assert again.swept_again_at > again.finished_at == receipt.finished_at
    assert len(runs_named(f"delete-{receipt_id}-late")) == 1


def test_a_failure_stands_in_the_receipt_and_deleting_again_goes_on(
    places: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, state = Project("flo", "fails"), clients.state()
    state.create_project(ProjectRecord(project, Kind.IMAGE, ("cat", "dog")))
    receipt_id = api.delete(state, project).receipt_id
    monkeypatch.setattr(steps.sweep, "retries", 0)
    with monkeypatch.context() as patch:
        patch.setattr(endpoints, "_logs", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            delete("flo", "fails", receipt_id)
    receipt = Receipts(state.table).receipt("flo", receipt_id)
    assert "unexpected ZeroDivisionError" in receipt.failure["message"]
    assert receipt.failure["fix"].startswith("delete the project again")
    assert state.find_project(project) is not None
    delete("flo", "fails", receipt_id)
    assert Receipts(state.table).receipt("flo", receipt_id).is_done
