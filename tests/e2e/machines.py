"""Training moves from the laptop's pool to machines that boot; what tests look at and wait for."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings

from contracts.identity import Project
from deployments.client import Exemplar
from deployments.ec2.worker import EC2Worker
from deployments.local import embedded
from deployments.remote_job import RemoteJob
from deployments.work_pools import create_queues
from tests.ec2_hypervisor import MARK, Hypervisor, hypervisor

POOL = "training-machines"
SLOTS = 8
SETTINGS = {
    "image_id": "ami-12345678",
    "instance_types": ["g4dn.xlarge", "g5.xlarge"],
    "python": sys.executable,
    "poll_seconds": 0.5,
    "max_lifetime_minutes": 60,
    "setup_script": f"cd {Path(__file__).resolve().parents[2]}",
}
PATIENCE_SECONDS = 600  # two cores, shared with whatever else runs here


@dataclass
class Machines:
    """The fake EC2, and Prefect between it and the jobs."""

    ec2: Hypervisor
    prefect: SyncPrefectClient
    log: Path  # of the worker that starts machines

    def training(self, job_id: str) -> list[dict[str, Any]]:
        """Every machine that has worked for a job, oldest first."""
        found = [i for i in self.ec2.instances() if labels(i).get("exemplar:job") == job_id]
        return sorted(found, key=lambda i: (i["LaunchTime"], labels(i)["exemplar:attempt"]))

    def runs(self, user: str, project: str, job_id: str) -> list[FlowRun]:
        """Every flow run of a job, its pipeline and its trainings, oldest first."""
        tag = f"job:{Project(user, project).slug}:{job_id}"
        wanted = FlowRunFilter.model_validate({"tags": {"all_": [tag]}})
        return sorted(
            self.prefect.read_flow_runs(flow_run_filter=wanted),
            key=lambda run: run.created.timestamp() if run.created else 0.0,
        )

    def trainings(self, user: str, project: str, job_id: str) -> list[FlowRun]:
        """The flow runs of a job that need machines."""
        return [run for run in self.runs(user, project, job_id) if run.work_pool_name == POOL]

    def processes(self, instance_id: str) -> list[psutil.Process]:
        """What runs on a machine."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == instance_id:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    @contextmanager
    def at_once(self, slots: int) -> Iterator[None]:
        """The pool has so many machines."""
        self.prefect.update_work_pool(POOL, WorkPoolUpdate(concurrency_limit=slots))
        try:
            yield
        finally:
            self.prefect.update_work_pool(POOL, WorkPoolUpdate(concurrency_limit=SLOTS))

    @contextmanager
    def refused(self, *refusals: tuple[str, str, str]) -> Iterator[None]:
        """EC2 starts no such machines: (error code, instance type or "", market or "")."""
        for code, instance_type, market in refusals:
            self.ec2.refuse(code, instance_type, market)
        try:
            yield
        finally:
            self.ec2.refusals.clear()

    def until_none_lives(self, seconds: float = 120) -> None:
        until(lambda: not self.ec2.living(), seconds, lambda: self.ec2.living())

    def until_all_ended(self, user: str, project: str, job_id: str, seconds: float = 120) -> None:
        """No flow run of the job goes on, waits, or is stuck on its way out."""

        def going() -> list[Any]:
            runs = self.runs(user, project, job_id)
            return [(r.name, r.state) for r in runs if not (r.state and r.state.is_final())]

        until(lambda: not going(), seconds, going)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3_000:]


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
        pool = WorkPoolCreate(
            name=POOL, type="ec2", base_job_template=template, concurrency_limit=SLOTS
        )
        client.create_work_pool(pool, overwrite=True)
        create_queues(client, POOL, SLOTS)
        deployment = client.read_deployment_by_name("train/train")
        client.update_deployment(deployment.id, DeploymentUpdate(work_pool_name=POOL))
        log = folder / "worker.log"
        worker = start_worker(environment | {"AWS_ENDPOINT_URL_EC2": ec2.endpoint}, log)
        try:
            yield Machines(ec2, client, log)
        finally:
            worker.kill()
            worker.wait()
            client.update_deployment(deployment.id, DeploymentUpdate(work_pool_name="training"))


def start_worker(environment: dict[str, str], log: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "prefect", "worker", "start", "--type", "ec2", "--pool", POOL]
    with log.open("wb") as opened:
        return subprocess.Popen(
            command,
            env=environment | {"PREFECT_WORKER_ENABLE_CANCELLATION": "true"},
            stdout=opened,
            stderr=opened,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


def until(is_so: Any, seconds: float = PATIENCE_SECONDS, why_not: Any = lambda: "") -> Any:
    """Wait until a call returns something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < deadline, why_not()
        time.sleep(0.1)
    return found


def wait_for_epoch(client: Exemplar, project: str, job_id: str, number: int) -> int:
    """Wait until the training has ended an epoch, and return which it is in by now."""

    def last_epoch() -> int | None:
        job = client.job(project, job_id)
        assert not job.state.is_final, job
        last = (job.metrics.get("epochs") or [{"epoch": 0}])[-1]["epoch"]
        return int(last) if last >= number else None

    return int(until(last_epoch))


def messages(client: Exemplar, project: str, job_id: str) -> list[str]:
    return [line.message for line in client.logs(project, job_id)]


def epochs_of(job: RemoteJob) -> list[int]:
    return [epoch["epoch"] for epoch in job.metrics["epochs"]]
