"""Flow runs on machines that boot, end, are taken back and are cancelled."""

import time
from pathlib import Path
from uuid import UUID

import pytest

from contracts.machine_use import from_labels
from tests.deployments.ec2.conftest import Cloud

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def test_a_run_gets_a_machine_of_its_own_which_ends_with_it(cloud: Cloud, tmp_path: Path) -> None:
    run_id = cloud.submit("work", folder=str(tmp_path), user="ann", project="cats", job_id="j1")
    machine = cloud.machine_of(run_id)
    run = cloud.until(run_id, "Completed")
    (described,) = [i for i in cloud.machines.instances() if i["InstanceId"] == machine]
    labels = {tag["Key"]: tag["Value"] for tag in described["Tags"]}
    assert labels["exemplar:user"] == "ann"
    assert labels["exemplar:project"] == "cats"
    assert labels["exemplar:job"] == "j1"
    assert labels["exemplar:attempt"] == "0"
    assert int(labels["exemplar:deadline"]) > time.time()
    assert described["InstanceLifecycle"] == "spot"
    assert described["MetadataOptions"]["HttpTokens"] == "required"
    assert run.infrastructure_pid == machine
    cloud.until_none_lives()
    (use,) = from_labels(cloud.until_billed(run_id).labels)
    assert (use.instance_id, use.instance_type, use.is_spot) == (machine, "g4dn.xlarge", True)
    assert 0 < use.seconds(time.time()) < 60


def test_a_flow_that_fails_fails_and_leaves_no_machine(cloud: Cloud) -> None:
    run_id = cloud.submit("broken")
    run = cloud.until(run_id, "Failed")
    assert "this flow is broken" in str(run.state and run.state.message)
    cloud.until_none_lives()


def test_a_spot_notice_puts_the_run_back_and_another_machine_goes_on(
    cloud: Cloud, tmp_path: Path
) -> None:
    run_id = cloud.submit("work", folder=str(tmp_path), steps=40)
    first = cloud.machine_of(run_id)
    until_step(tmp_path, 4)
    cloud.machines.notice(first)
    run = cloud.until(run_id, "Completed")
    assert run.run_count == 2
    states = [state.name for state in cloud.client.read_flow_run_states(run_id)]
    assert {"AwaitingRetry", "Pending"} & set(states[states.index("Running") + 1 :])
    starts = [int(line) for line in (tmp_path / "starts").read_text().split()]
    assert starts[0] == 0
    assert starts[1] >= 4
    cloud.until_none_lives()


@pytest.mark.soak
def test_a_machine_that_is_taken_back_without_notice_is_replaced(
    cloud: Cloud, tmp_path: Path
) -> None:
    run_id = cloud.submit("work", folder=str(tmp_path), steps=20)
    first = cloud.machine_of(run_id)
    until_step(tmp_path, 3)
    cloud.machines.take_back(first)
    run = cloud.until(run_id, "Completed")
    assert run.run_count == 2
    assert run.infrastructure_pid != first
    cloud.until_none_lives()


def test_cancelling_ends_the_machine(cloud: Cloud, tmp_path: Path) -> None:
    from prefect.states import Cancelling

    run_id = cloud.submit("work", folder=str(tmp_path), steps=10_000)
    cloud.machine_of(run_id)
    until_step(tmp_path, 1)
    cloud.client.set_flow_run_state(run_id, Cancelling())
    cloud.until(run_id, "Cancelled")
    cloud.until_none_lives()


def test_cancelling_before_the_machine_has_booted_ends_it_and_the_run(
    cloud: Cloud, tmp_path: Path
) -> None:
    from prefect.states import Cancelling

    cloud.machines.boots = False
    try:
        run_id = cloud.submit("work", folder=str(tmp_path))
        machine = cloud.machine_of(run_id)
        until_submitted(cloud, run_id, machine)
        cloud.client.set_flow_run_state(run_id, Cancelling())
        cloud.until_none_lives(60)
        cloud.until(run_id, "Cancelled")
    finally:
        cloud.machines.boots = True
    assert not (tmp_path / "starts").exists()


def test_a_worker_that_dies_after_the_launch_is_followed_by_one_that_adopts(
    cloud: Cloud, tmp_path: Path
) -> None:
    before = len(cloud.machines.launches)
    run_id = cloud.submit("work", folder=str(tmp_path), steps=30)
    first = cloud.machine_of(run_id)
    cloud.kill_worker()
    cloud.start_worker()
    until_step(tmp_path, 5)
    cloud.machines.take_back(first)  # nobody but the new worker can see this
    run = cloud.until(run_id, "Completed")
    assert run.run_count == 2
    assert len(cloud.machines.launches) == before + 2
    cloud.until_none_lives()


def test_without_spot_capacity_another_type_or_market_is_taken(
    cloud: Cloud, tmp_path: Path
) -> None:
    cloud.machines.refuse("InsufficientInstanceCapacity", market="spot")
    cloud.machines.refuse("VcpuLimitExceeded", instance_type="g4dn.xlarge")
    try:
        run_id = cloud.submit("work", folder=str(tmp_path), steps=1)
        machine = cloud.machine_of(run_id)
        (described,) = [i for i in cloud.machines.instances() if i["InstanceId"] == machine]
        cloud.until(run_id, "Completed")
    finally:
        cloud.machines.refusals.clear()
    assert described["InstanceType"] == "g5.xlarge"
    assert "InstanceLifecycle" not in described
    cloud.until_none_lives()


@pytest.mark.parametrize(
    ("code", "state", "said"),
    [
        ("InvalidAMIID.NotFound", "Failed", "correct the work pool's settings"),
        ("UnauthorizedOperation", "Failed", "correct the work pool's settings"),
        ("InsufficientInstanceCapacity", "AwaitingRetry", "no machine for this run now"),
    ],
)
def test_a_refusal_ends_in_the_right_state_with_a_reason(
    cloud: Cloud, tmp_path: Path, code: str, state: str, said: str
) -> None:
    cloud.machines.refuse(code)
    try:
        run_id = cloud.submit("work", folder=str(tmp_path), steps=1)
        run = cloud.until(run_id, state)
    finally:
        cloud.machines.refusals.clear()
    assert run.state is not None
    assert code in str(run.state.message)
    assert said in str(run.state.message)
    assert cloud.machines.living() == []


def until_submitted(cloud: Cloud, run_id: UUID, machine: str) -> None:
    """Prefect itself looks after a run only until its worker is done with starting the machine."""
    deadline = time.monotonic() + 30
    while cloud.run(run_id).infrastructure_pid != machine:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1)


def until_step(folder: Path, step: int, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    file = folder / "steps"
    while not file.exists() or int(file.read_text() or 0) < step:
        assert time.monotonic() < deadline
        time.sleep(0.1)
