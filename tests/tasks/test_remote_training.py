"""Waiting for a training, against a real Prefect server."""

from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.logging import disable_run_logger

from contracts.errors import InvalidRequest
from contracts.estimate import Estimate, Machine
from contracts.identity import Project
from contracts.manifest import Kind
from lambdas.state import ProjectRecord
from tasks import clients
from tasks.billing import BudgetExceeded
from tasks.progress import Progress
from tasks.remote_training import (
    Training,
    TrainingFailed,
    _attempt,
    await_training,
    resolved,
)
from tasks.settings import settings
from tasks.training_results import record_version

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ANN = Project("ann", "cats")


def training(name: str, machine: Machine = Machine()) -> Training:  # noqa: B008 - it is frozen
    expected = Estimate(60, 0.10 if machine.instance_type else None, machine.name, "a test")
    return Training(name, {"model": "net", "recipe": "quick"}, 100, machine, expected)


def runs(client: SyncPrefectClient) -> list[FlowRun]:
    """This module's, of all that the session's server knows."""
    return client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=["never-started"]))
    )


@flow
def never_started() -> None:
    """Stands for the training's flow: what matters here is that nobody runs it."""


@pytest.fixture
def deployment(tasks_environment: pytest.MonkeyPatch, prefect_server: None) -> Any:
    """A deployment in a pool that no worker serves."""
    tasks_environment.setenv("EXEMPLAR_TRAINING_DEPLOYMENT", "never-started/train")
    tasks_environment.setenv("EXEMPLAR_TRAINING_WAIT_SECONDS", "1")
    settings.cache_clear()
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="nobody", type="process"), overwrite=True)
        flow_id = client.create_flow(never_started)
        client.create_deployment(flow_id, "train", work_pool_name="nobody")
    return tasks_environment


def test_a_pool_without_a_worker_ends_the_job_with_a_reason(deployment: Any) -> None:
    with disable_run_logger(), pytest.raises(TrainingFailed, match="did not end") as failure:
        await_training.fn(Progress(ANN), training("t1"))
    assert "worker" in failure.value.fix
    with get_client(sync_client=True) as client:
        (run,) = (run for run in runs(client) if run.name == "ann_cats-t1-0")
        assert run.state_type in {StateType.CANCELLING, StateType.CANCELLED}


def test_a_training_that_has_ended_is_not_started_again(deployment: Any) -> None:
    record_version(ANN, "t2", "tuned-1")
    with disable_run_logger():
        assert await_training.fn(Progress(ANN), training("t2")) == "tuned-1"


def test_what_costs_too_much_is_not_started(deployment: Any) -> None:
    deployment.setenv("EXEMPLAR_JOB_BUDGET_DOLLARS", "0.05")
    settings.cache_clear()
    with disable_run_logger(), pytest.raises(BudgetExceeded, match=r"about \$0.10"):
        await_training.fn(Progress(ANN), training("t3", Machine("g4dn.xlarge")))
    with get_client(sync_client=True) as client:
        assert "ann_cats-t3-0" not in {run.name for run in runs(client)}


def test_trainings_of_a_user_take_turns(deployment: Any) -> None:
    with disable_run_logger():
        for name in ("t4", "t5", "t4"):
            _attempt(Progress(Project("bob", "cats")), training(name), 0, wait=False)
    with get_client(sync_client=True) as client:
        queues = {run.name: run.work_queue_name for run in runs(client)}
    assert queues["bob_cats-t4-0"] == "turn-1"
    assert queues["bob_cats-t5-0"] == "turn-2"


@pytest.mark.parametrize("model", ["resnet50", "convnext_tiny"])
def test_models_that_fit_a_zip_are_taken(model: str, tasks_environment: Any) -> None:
    clients.state().create_project(ProjectRecord(ANN, Kind.IMAGE, ("cat", "dog")))
    assert resolved(Progress(ANN), model, "balanced") == model


def test_a_model_too_large_to_serve_is_refused_before_anything_is_paid_for(
    tasks_environment: pytest.MonkeyPatch,
) -> None:
    clients.state().create_project(ProjectRecord(ANN, Kind.IMAGE, ("cat", "dog")))
    with pytest.raises(InvalidRequest, match="327 MiB, and at most 110 fit") as refusal:
        resolved(Progress(ANN), "vit_b_16", "balanced")
    assert "--large-models" in refusal.value.fix
    tasks_environment.setenv("EXEMPLAR_IMAGE_BUILDER", "exemplar-images")
    settings.cache_clear()
    assert resolved(Progress(ANN), "vit_b_16", "balanced") == "vit_b_16"
