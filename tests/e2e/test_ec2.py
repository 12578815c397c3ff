"""The whole chain with its training on machines that boot, and that are taken back."""

import time
from pathlib import Path
from typing import Any

import pytest

from tasks.billing import month_of
from tests.e2e.machines import Machines, epochs_of, labels, messages, wait_for_epoch

pytestmark = [
    pytest.mark.stack,
    pytest.mark.soak,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def test_a_training_runs_on_a_machine_of_its_own(
    stack: Any, machines: Machines, digits: Any, tmp_path: Path
) -> None:
    with stack.client() as client:
        result = client.train(digits(tmp_path, 12), "on-ec2", recipe="fast")
        answer = client.predict("on-ec2", next(tmp_path.glob("digit 0/*.png")))
    assert result.state == "done"
    (machine,) = machines.training(result.job_id)
    assert labels(machine)["exemplar:user"] == "me"
    assert labels(machine)["exemplar:project"] == "on-ec2"
    assert answer["model_version"] == result.model_version
    job = stack_job(stack, "on-ec2", result.job_id)
    assert epochs_of(job)
    machines.until_none_lives()
    # Every training is announced with what it will cost, and billed with what it has.
    assert job.estimate["machine"] == "g4dn.xlarge spot"
    assert 0 < job.estimate["dollars"] < 1
    assert job.estimate["seconds"] > 0
    assert job.dollars is not None
    assert 0 < job.dollars < 1
    (run,) = machines.trainings("me", "on-ec2", result.job_id)
    assert stack.state.spent("me", month_of(time.time()))[run.name] == job.dollars


def test_a_training_whose_machine_is_taken_back_goes_on_with_another(
    stack: Any, machines: Machines, digits: Any, tmp_path: Path
) -> None:
    with stack.client() as client:
        # Long enough for two minutes' notice to find it still at work.
        recipe = {"preset": "fast", "epochs": 30, "patience": 30}
        job = client.submit(client.read(digits(tmp_path, 40)), "taken-back", recipe=recipe)
        seen = wait_for_epoch(client, "taken-back", job.job_id, 2)
        (first,) = machines.training(job.job_id)
        machines.ec2.notice(first["InstanceId"])
        ended = client.wait("taken-back", job.job_id)
        said = messages(client, "taken-back", job.job_id)
    assert ended.state == "done"
    epochs = epochs_of(ended)
    assert epochs == sorted(set(epochs))
    assert epochs[-1] > seen
    assert any("going on from the last checkpoint" in message for message in said)
    before, after = machines.training(job.job_id)
    assert before["InstanceId"] == first["InstanceId"] != after["InstanceId"]
    assert [labels(m)["exemplar:attempt"] for m in (before, after)] == ["0", "1"]
    machines.until_none_lives()


def test_cancelling_a_job_ends_its_machine(
    stack: Any, machines: Machines, digits: Any, tmp_path: Path
) -> None:
    with stack.client() as client:
        job = client.submit(client.read(digits(tmp_path, 30)), "called-off", recipe="accurate")
        wait_for_epoch(client, "called-off", job.job_id, 1)
        assert client.cancel("called-off", job.job_id).state == "cancelled"
    machines.until_none_lives()


def stack_job(stack: Any, project: str, job_id: str) -> Any:
    with stack.client() as client:
        return client.job(project, job_id)
