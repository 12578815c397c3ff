"""Budgets, bills and what was learnt of them, with a real Prefect server and the emulator."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed, Failed, Running

from contracts.estimate import Estimate, Machine
from contracts.machine_use import MachineUse
from deployments.ec2.pool import base_job_template
from tasks import billing, clients
from tasks.billing import BudgetExceeded
from tasks.settings import settings

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

EXPECTED = Estimate(600, 0.10, "g4dn.xlarge spot", "a test")
NOW = time.time()
MONTH = billing.month_of(NOW)


@flow
def paid(user: str = "") -> None:
    """Stands for the training's flow."""


@pytest.fixture
def prefect(tasks_environment: pytest.MonkeyPatch, prefect_server: None) -> Any:
    tasks_environment.setenv("EXEMPLAR_TRAINING_DEPLOYMENT", "paid/train")
    settings.cache_clear()
    pool = base_job_template(
        {"image_id": "ami-0abc", "instance_types": ["g5.xlarge", "g4dn.xlarge"], "disk_gb": 50}, {}
    )
    with get_client(sync_client=True) as client:
        client.create_work_pool(
            WorkPoolCreate(name="paid-machines", type="ec2", base_job_template=pool), overwrite=True
        )
        client.create_deployment(client.create_flow(paid), "train", work_pool_name="paid-machines")
        yield client


def a_run(client: SyncPrefectClient, user: str, minutes: float, state: Any = None) -> FlowRun:
    """A run on one machine that started so many minutes ago."""
    deployment = client.read_deployment_by_name("paid/train")
    run = client.create_flow_run_from_deployment(
        deployment.id, parameters={"user": user}, name=f"{user}-run"
    )
    use = MachineUse("i-1", "g4dn.xlarge", True, 0, time.time() - 60 * minutes)
    client.update_flow_run_labels(run.id, use.label)
    for next_state in (Running(), *([state] if state else [])):
        client.set_flow_run_state(run.id, next_state, force=True)
    return client.read_flow_run(run.id)


def budgets(environment: pytest.MonkeyPatch, **dollars: float) -> None:
    for whose, value in dollars.items():
        environment.setenv(f"EXEMPLAR_{whose.upper()}_BUDGET_DOLLARS", str(value))
    settings.cache_clear()


def test_the_pool_says_what_a_training_starts_on(prefect: SyncPrefectClient) -> None:
    assert billing.offered_machine(prefect) == Machine("g5.xlarge", is_spot=True, disk_gb=50)


def test_without_budgets_nothing_is_limited(prefect: Any) -> None:
    assert billing.reserve("free", "r1", EXPECTED, 5.0) is None


def test_a_job_stops_at_its_budget(prefect: Any, tasks_environment: pytest.MonkeyPatch) -> None:
    budgets(tasks_environment, job=0.25)
    assert billing.reserve("ann", "r1", EXPECTED, 0.0) == pytest.approx(0.25)
    assert billing.reserve("ann", "r2", EXPECTED, 0.10) == pytest.approx(0.15)
    with pytest.raises(BudgetExceeded, match=r"the job's budget is \$0.25, of which \$0.20"):
        billing.reserve("ann", "r3", EXPECTED, 0.20)


def test_a_months_budget_is_shared_by_a_users_runs_and_nobody_elses(
    prefect: Any, tasks_environment: pytest.MonkeyPatch
) -> None:
    budgets(tasks_environment, user=0.25)
    assert billing.reserve("bob", "r1", EXPECTED, 0.0) == pytest.approx(0.25)
    assert billing.reserve("bob", "r1", EXPECTED, 0.0) == pytest.approx(0.25)  # the same again
    assert billing.reserve("bob", "r2", EXPECTED, 0.0) == pytest.approx(0.15)
    with pytest.raises(BudgetExceeded, match="this month's budget") as refusal:
        billing.reserve("bob", "r3", EXPECTED, 0.0)
    assert "what was live stays live" in refusal.value.fix
    assert set(clients.state().spent("bob", MONTH)) == {"r1", "r2"}
    assert billing.reserve("carol", "r1", EXPECTED, 0.0) == pytest.approx(0.25)


def test_a_run_that_has_ended_replaces_what_was_set_aside(
    prefect: SyncPrefectClient, tasks_environment: pytest.MonkeyPatch
) -> None:
    budgets(tasks_environment, user=10)
    run = a_run(prefect, "dora", 30, Completed())
    billing.reserve("dora", run.name, EXPECTED, 0.0)
    assert billing.settle(run, time.time() + 9_999) == pytest.approx(0.526 * 0.4 / 2, rel=0.05)
    assert clients.state().spent("dora", MONTH) == {
        "dora-run": pytest.approx(0.526 * 0.4 / 2, rel=0.05)
    }


def test_what_is_set_aside_stays_so_while_the_run_goes_on(
    prefect: SyncPrefectClient, tasks_environment: pytest.MonkeyPatch
) -> None:
    budgets(tasks_environment, user=10)
    run = a_run(prefect, "gus", 1)
    billing.reserve("gus", run.name, EXPECTED, 0.0)
    assert billing.settle(run, time.time()) == pytest.approx(0.526 * 0.4 / 60, rel=0.1)
    assert clients.state().spent("gus", MONTH) == {"gus-run": EXPECTED.dollars}


def test_what_was_set_aside_for_a_run_that_never_had_a_machine_is_given_back(
    prefect: SyncPrefectClient, tasks_environment: pytest.MonkeyPatch
) -> None:
    budgets(tasks_environment, user=10)
    deployment = prefect.read_deployment_by_name("paid/train")
    run = prefect.create_flow_run_from_deployment(
        deployment.id, parameters={"user": "hal"}, name="hal-run"
    )
    billing.reserve("hal", "hal-run", EXPECTED, 0.0)
    assert billing.settle(run, time.time()) is None
    assert clients.state().spent("hal", MONTH) == {"hal-run": EXPECTED.dollars}
    prefect.set_flow_run_state(run.id, Failed(message="EC2 refused"), force=True)
    assert billing.settle(prefect.read_flow_run(run.id), time.time()) is None
    assert clients.state().spent("hal", MONTH) == {}


def test_the_reaper_settles_what_no_pipeline_waits_for(prefect: SyncPrefectClient) -> None:
    a_run(prefect, "eve", 60)
    assert billing.settle_recent.fn() >= 1
    assert clients.state().spent("eve", MONTH)["eve-run"] == pytest.approx(0.526 * 0.4, rel=0.05)


def test_a_bill_is_of_all_attempts_and_their_machines(prefect: SyncPrefectClient) -> None:
    runs = [a_run(prefect, "finn", 30), a_run(prefect, "finn", 60)]
    found = billing.bill(runs, time.time())
    assert found.machines == 2
    assert found.seconds == pytest.approx(90 * 60, rel=0.02)
    assert found.dollars == pytest.approx(0.526 * 0.4 * 1.5, rel=0.02)
    seen = billing.observation(500, found)
    clients.state().add_observation("net", "quick", seen)
    assert clients.state().observations("net", "quick") == [seen]


def test_this_computer_bills_nothing_and_is_remembered(prefect: SyncPrefectClient) -> None:
    deployment = prefect.read_deployment_by_name("paid/train")
    run = prefect.create_flow_run_from_deployment(deployment.id)
    start = datetime.now(UTC)
    ran = replace_times(run, start, start + timedelta(seconds=30))
    found = billing.bill([ran], NOW)
    assert (found.dollars, found.machines, found.machine) == (None, 0, Machine())
    assert found.seconds == pytest.approx(30)
    assert billing.settle(ran, NOW) is None


def replace_times(run: FlowRun, start: datetime, end: datetime) -> FlowRun:
    return run.model_copy(
        update={"start_time": start, "end_time": end, "total_run_time": end - start}
    )


def test_only_the_newest_observations_are_kept(prefect: Any) -> None:
    state, one = clients.state(), billing.observation(1, billing.Bill(1.0, None, Machine(), 0))
    for number in range(25):
        state.add_observation("net", "many", replace(one, examples=number))
    kept = state.observations("net", "many")
    assert [seen.examples for seen in kept] == list(range(5, 25))
