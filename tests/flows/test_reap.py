"""The reaper, with a real Prefect server and moto's EC2."""

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from moto.server import ThreadedMotoServer
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.states import Completed, Running

from contracts import machine_tags
from flows.reap import reap
from tasks import clients

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@flow
def training() -> None:
    """Stands for a run that a machine was started for."""


@pytest.fixture
def ec2(tasks_environment: pytest.MonkeyPatch, prefect_server: None) -> Iterator[Any]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    tasks_environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    clients.ec2.cache_clear()
    yield clients.ec2()
    clients.ec2.cache_clear()
    server.stop()


def start(ec2: Any, flow_run_id: str, deadline: float, stack: str = "exemplar") -> str:
    labels = {
        machine_tags.STACK: stack,
        machine_tags.FLOW_RUN: flow_run_id,
        machine_tags.DEADLINE: str(int(deadline)),
    }
    answer = ec2.run_instances(
        ImageId="ami-12345678",
        InstanceType="g4dn.xlarge",
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": machine_tags.as_list(labels)},
        ],
    )
    return str(answer["Instances"][0]["InstanceId"])


def test_leftovers_end_and_the_others_go_on(ec2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.machines.GRACE_SECONDS", 0.0)
    soon, past = time.time() + 600, time.time() - 1
    with get_client(sync_client=True) as client:
        going = client.create_flow_run(training, state=Running())
        over = client.create_flow_run(training, state=Completed())
    time.sleep(1.1)  # moto tells launch times to the second
    kept = start(ec2, str(going.id), soon)
    foreign = start(ec2, str(uuid4()), past, stack="another")
    leaked = [
        start(ec2, str(over.id), soon),
        start(ec2, str(uuid4()), soon),
        start(ec2, "no id", soon),
        start(ec2, str(going.id), past),
    ]
    assert sorted(reap()) == sorted(leaked)
    states = {
        instance["InstanceId"]: instance["State"]["Name"]
        for reservation in ec2.describe_instances()["Reservations"]
        for instance in reservation["Instances"]
    }
    assert states[kept] == states[foreign] == "running"
    assert {states[machine] for machine in leaked} <= {"shutting-down", "terminated"}
    with get_client(sync_client=True) as client:
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=["machines"]))
        (artifact,) = client.read_artifacts(artifact_filter=wanted)
    assert "5 machines" in str(artifact.description)
    assert reap() == []
