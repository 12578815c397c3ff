"""A Prefect server, a fake EC2 and a real worker between them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL

from contracts.machine_use import from_labels
from deployments.ec2.worker import EC2Worker
from tests.deployments.ec2 import machine_flows
from tests.ec2_hypervisor import Hypervisor, hypervisor

ROOT = Path(__file__).resolve().parents[3]
POOL = "machines"
SETTINGS = {
    "image_id": "ami-12345678",
    "instance_types": ["g4dn.xlarge", "g5.xlarge"],
    "python": sys.executable,
    "poll_seconds": 0.3,
    "max_lifetime_minutes": 5,
    "max_interruptions": 2,
    "setup_script": f"cd {ROOT}",
}


@dataclass
class Cloud:
    """Everything a test of the worker touches."""

    machines: Hypervisor
    client: SyncPrefectClient
    folder: Path
    environment: dict[str, str]
    worker: "subprocess.Popen[bytes] | None" = None

    def start_worker(self) -> None:
        command = [sys.executable, "-m", "prefect", "worker", "start", "--type", "ec2"]
        command += ["--pool", POOL, "--name", "tester"]
        with (self.folder / "worker.log").open("ab") as log:
            self.worker = subprocess.Popen(
                command,
                env=self.environment,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def kill_worker(self) -> None:
        assert self.worker
        for process in psutil.Process(self.worker.pid).children(recursive=True):
            process.kill()
        self.worker.kill()
        self.worker.wait()

    def submit(self, name: str, **parameters: Any) -> UUID:
        deployment = self.client.read_deployment_by_name(f"{name}/machine")
        run = self.client.create_flow_run_from_deployment(deployment.id, parameters=parameters)
        return run.id

    def run(self, run_id: UUID) -> FlowRun:
        return self.client.read_flow_run(run_id)

    def until(self, run_id: UUID, *names: str, seconds: float = 180) -> FlowRun:
        """Wait for one of the states, by name."""
        deadline = time.monotonic() + seconds
        while (run := self.run(run_id)).state is None or run.state.name not in names:
            assert time.monotonic() < deadline, (run.state, self.tail())
            time.sleep(0.2)
        return run

    def until_billed(self, run_id: UUID, seconds: float = 60) -> FlowRun:
        """Wait until the worker has noted the ends of the run's machines."""
        deadline = time.monotonic() + seconds
        while True:
            run = self.run(run_id)
            if all(use.ended_at for use in from_labels(run.labels)):
                return run
            assert time.monotonic() < deadline, run.labels
            time.sleep(0.2)

    def machine_of(self, run_id: UUID, seconds: float = 90) -> str:
        """The living machine of a run."""
        deadline = time.monotonic() + seconds
        while True:
            for instance in self.machines.instances("pending", "running"):
                labels = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
                if labels["exemplar:flow-run"] == str(run_id):
                    return str(instance["InstanceId"])
            assert time.monotonic() < deadline, self.tail()
            time.sleep(0.1)

    def until_none_lives(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while living := self.machines.living():
            assert time.monotonic() < deadline, living
            time.sleep(0.2)

    def tail(self) -> str:
        return (self.folder / "worker.log").read_text(errors="replace")[-3_000:]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory, prefect_server: None) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("cloud")
    base = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PREFECT_API_URL": str(PREFECT_API_URL.value()),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PYTHONPATH": str(ROOT),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with hypervisor(folder / "machines", base) as machines, get_client(sync_client=True) as client:
        worker = base | {
            "AWS_ENDPOINT_URL_EC2": machines.endpoint,
            "HOME": str(folder),
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_WORKER_QUERY_SECONDS": "0.5",
            "PREFECT_WORKER_HEARTBEAT_SECONDS": "2",
            "PREFECT_WORKER_ENABLE_CANCELLATION": "true",
        }
        found = Cloud(machines, client, folder, worker)
        _create_pool(client)
        _deploy(client)
        found.start_worker()
        yield found
        found.kill_worker()


def _create_pool(client: SyncPrefectClient) -> None:
    template = EC2Worker.get_default_base_job_template()
    for name, value in SETTINGS.items():
        template["variables"]["properties"][name]["default"] = value
    client.create_work_pool(
        WorkPoolCreate(name=POOL, type="ec2", base_job_template=template), overwrite=True
    )


def _deploy(client: SyncPrefectClient) -> None:
    for flow in (machine_flows.work, machine_flows.broken):
        client.create_deployment(
            client.create_flow(flow),
            "machine",
            work_pool_name=POOL,
            entrypoint=f"tests/deployments/ec2/machine_flows.py:{flow.name}",
            pull_steps=[
                {"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}
            ],
        )
