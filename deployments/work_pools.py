"""Prefect's work pools: processes beside a worker, or machines; each has a queue per turn."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from contracts import machine_tags
from contracts.turns import queues
from tasks.settings import settings

SOURCE = Path(__file__).resolve().parents[1]
ORCHESTRATION, TRAINING = "orchestration", "training"
SLOTS = {ORCHESTRATION: 20, TRAINING: 8}  # runs at once, unless said otherwise


def pool_names() -> list[str]:
    """Work pools that prefect.yaml names."""
    document = yaml.safe_load((SOURCE / "prefect.yaml").read_text())
    return sorted({deployment["work_pool"]["name"] for deployment in document["deployments"]})


def create_pools(
    client: SyncPrefectClient,
    machines: dict[str, Any] | None = None,
    slots: Mapping[str, int] | None = None,
) -> None:
    """Processes beside the worker; with `machines`, one EC2 instance for each training.

    A pool of processes that exists keeps its settings; the machines' are always set anew. `slots`
    says how many runs a pool's workers take at once.
    """
    at_once = SLOTS | dict(slots or {})
    for name in pool_names():
        if machines is not None and name == TRAINING:
            # Prefect and boto3 of the worker take a second to load, and a laptop needs neither.
            from deployments.ec2.pool import base_job_template, machine_environment

            environment = machine_environment(settings(), os.environ.get("MLFLOW_TRACKING_URI", ""))
            labels = {machine_tags.STACK: settings().stack} | machines.get("tags", {})
            template = base_job_template(machines | {"tags": labels}, environment)
            wanted = WorkPoolCreate(
                name=name,
                type="ec2",
                base_job_template=template,
                concurrency_limit=at_once[name],
            )
            client.create_work_pool(wanted, overwrite=True)
        else:
            with suppress(ObjectAlreadyExists):
                client.create_work_pool(WorkPoolCreate(name=name, type="process"))
        create_queues(client, name, at_once[name])


def make_way(client: SyncPrefectClient, kind: str) -> None:
    """Delete the training pool if it is of another type: Prefect cannot change a pool's type.

    Its deployments find the pool of the same name again when they are applied.
    """
    with suppress(ObjectNotFound):
        if client.read_work_pool(TRAINING).type != kind:
            client.delete_work_pool(TRAINING)


def create_queues(client: SyncPrefectClient, pool: str, slots: int) -> None:
    """One for each turn, after the pool's own, which runs by hand go to."""
    existing = {queue.name for queue in client.read_work_queues(work_pool_name=pool)}
    for priority, (name, limit) in enumerate(queues(slots), start=2):
        if name not in existing:
            client.create_work_queue(
                name, work_pool_name=pool, priority=priority, concurrency_limit=limit
            )
