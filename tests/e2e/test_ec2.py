"""The whole chain with its training on machines that boot, and that are taken back."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolCreate
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.client import Exemplar
from deployments.ec2.worker import EC2Worker
from deployments.local import embedded
from tests.ec2_hypervisor import Hypervisor, hypervisor

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
POOL = "training-machines"
SETTINGS = {
    "image_id": "ami-12345678",
    "python": sys.executable,
    "poll_seconds": 0.5,
    "max_lifetime_minutes": 30,
    "setup_script": f"cd {Path(__file__).resolve().parents[2]}",
}


@dataclass
class Machines:
    ec2: Hypervisor
    prefect: SyncPrefectClient

    def training(self, job_id: str) -> list[dict[str, Any]]:
        """Every machine that has worked for a job, oldest first."""
        found = [
            instance
            for instance in self.ec2.instances()
            if labels(instance).get("exemplar:job") == job_id
        ]
        return sorted(found, key=lambda instance: instance["LaunchTime"])


def labels(instance: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}


@pytest.fixture(scope="module")
def machines(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """Training moves from the laptop's pool to machines, by the deployment's pool alone."""
    local_worker = next(s for s in embedded.status(stack.home) if s.name == "training-worker")
    environment = psutil.Process(local_worker.pid).environ()
    folder = tmp_path_factory.mktemp("machines")
    with (
        hypervisor(folder, environment) as ec2,
        temporary_settings({PREFECT_API_URL: environment["PREFECT_API_URL"]}),
        get_client(sync_client=True) as client,
    ):
        template = EC2Worker.get_default_base_job_template()
        for name, value in SETTINGS.items():
            template["variables"]["properties"][name]["default"] = value
        client.create_work_pool(WorkPoolCreate(name=POOL, type="ec2", base_job_template=template))
        deployment = client.read_deployment_by_name("train/train")
        client.update_deployment(deployment.id, DeploymentUpdate(work_pool_name=POOL))
        worker = start_worker(environment | {"AWS_ENDPOINT_URL_EC2": ec2.endpoint}, folder)
        try:
            yield Machines(ec2, client)
        finally:
            worker.kill()
            worker.wait()
            client.update_deployment(deployment.id, DeploymentUpdate(work_pool_name="training"))


def start_worker(environment: dict[str, str], folder: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "prefect", "worker", "start", "--type", "ec2", "--pool", POOL]
    with (folder / "worker.log").open("wb") as log:
        return subprocess.Popen(
            command,
            env=environment | {"PREFECT_WORKER_ENABLE_CANCELLATION": "true"},
            stdout=log,
            stderr=log,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


@pytest.mark.soak
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
    assert "epochs" in stack_job(stack, "on-ec2", result.job_id).metrics
    until_none_lives(machines)


def test_a_training_whose_machine_is_taken_back_goes_on_with_another(
    stack: Any, machines: Machines, digits: Any, tmp_path: Path
) -> None:
    with stack.client() as client:
        job = client.submit(client.read(digits(tmp_path, 40)), "taken-back", recipe="fast")
        seen = wait_for_epoch(client, "taken-back", job.job_id, 2)
        (first,) = machines.training(job.job_id)
        machines.ec2.notice(first["InstanceId"])
        ended = client.wait("taken-back", job.job_id)
        messages = [line.message for line in client.logs("taken-back", job.job_id)]
    assert ended.state == "done"
    epochs = [epoch["epoch"] for epoch in ended.metrics["epochs"]]
    assert epochs == sorted(set(epochs))
    assert epochs[-1] > seen
    assert any("going on from the last checkpoint" in message for message in messages)
    before, after = machines.training(job.job_id)
    assert before["InstanceId"] == first["InstanceId"] != after["InstanceId"]
    assert [labels(m)["exemplar:attempt"] for m in (before, after)] == ["0", "1"]
    until_none_lives(machines)


@pytest.mark.soak
def test_cancelling_a_job_ends_its_machine(
    stack: Any, machines: Machines, digits: Any, tmp_path: Path
) -> None:
    with stack.client() as client:
        job = client.submit(client.read(digits(tmp_path, 30)), "called-off", recipe="thorough")
        wait_for_epoch(client, "called-off", job.job_id, 1)
        assert client.cancel("called-off", job.job_id).state == "cancelled"
    until_none_lives(machines, seconds=60)


def stack_job(stack: Any, project: str, job_id: str) -> Any:
    with stack.client() as client:
        return client.job(project, job_id)


def wait_for_epoch(client: Exemplar, project: str, job_id: str, number: int) -> int:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        job = client.job(project, job_id)
        assert job.state not in {"failed", "done", "cancelled"}, job
        epochs = job.metrics.get("epochs", [])
        if epochs and epochs[-1]["epoch"] >= number:
            return int(epochs[-1]["epoch"])
        time.sleep(0.2)
    raise AssertionError("training did not get that far")


def until_none_lives(machines: Machines, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while living := machines.ec2.living():
        assert time.monotonic() < deadline, living
        time.sleep(0.2)
