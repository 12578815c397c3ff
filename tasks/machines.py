"""Training machines as EC2 and Prefect know them: which are left over, and what they cost.

The worker ends its machines and each ends itself; this is for what both have missed.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_run_logger

from contracts import machine_tags
from contracts.prices import machine_dollars
from tasks import clients
from tasks.settings import settings

# A machine needs so long to end by itself, and one just started may not be known to Prefect yet.
GRACE_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Machine:
    """One living instance; times are seconds since the epoch."""

    instance_id: str
    instance_type: str
    is_spot: bool
    launched_at: float
    deadline: float | None
    flow_run_id: str
    user: str = ""
    project: str = ""
    why_ended: str = ""

    def dollars(self, now: float) -> float | None:
        """What it has cost until now, by list prices; None where the type has none."""
        return machine_dollars(self.instance_type, now - self.launched_at, is_spot=self.is_spot)


@dataclass(frozen=True, slots=True)
class RunEnd:
    """What Prefect knows of a machine's flow run; `ended_at` is None while it goes on."""

    ended_at: float | None


def reason_to_end(machine: Machine, run: RunEnd | None, now: float) -> str:
    """Why a machine has to go, in words; empty when it may stay. `run` is None if unknown."""
    if machine.deadline is not None and now > machine.deadline:
        return "it has lived longer than it may"
    if now - machine.launched_at < GRACE_SECONDS:
        return ""
    if run is None:
        return "no flow run is known for it"
    if run.ended_at is not None and now - run.ended_at > GRACE_SECONDS:
        return "its flow run has ended"
    return ""


# Retries: EC2 and Prefect may stumble; ending a machine twice is harmless.
@task(retries=2, retry_delay_seconds=[5, 20])
def end_leftovers() -> list[Machine]:
    """Judge every living machine of this stack, end those that have to go; return all of them."""
    now = time.time()
    with get_client(sync_client=True) as client:
        judged = [
            replace(machine, why_ended=reason_to_end(machine, _run_end(client, machine), now))
            for machine in living_machines()
        ]
    ended = [machine.instance_id for machine in judged if machine.why_ended]
    machine_tags.end(clients.ec2(), ended)
    for machine in judged:
        if machine.why_ended:
            get_run_logger().warning("ended %s: %s", machine.instance_id, machine.why_ended)
    return judged


# No retry: a report that is missing once is there in five minutes.
@task
def report_machines(machines: list[Machine]) -> None:
    """A table of the machines that were there, as a Prefect artifact."""
    now = time.time()
    costs = [machine.dollars(now) for machine in machines]
    total = sum(cost for cost in costs if cost is not None)
    create_table_artifact(
        key="machines",
        table=[_row(machine, cost, now) for machine, cost in zip(machines, costs, strict=True)],
        description=f"{len(machines)} machines, ${total:.2f} so far by list prices",
    )


def living_machines() -> Iterator[Machine]:
    """Every machine of this stack that exists now."""
    yield from map(_machine, machine_tags.machines(clients.ec2(), settings().stack))


def _machine(instance: Any) -> Machine:
    labels = machine_tags.of(instance)
    deadline = labels.get(machine_tags.DEADLINE, "")
    return Machine(
        instance_id=instance["InstanceId"],
        instance_type=instance["InstanceType"],
        is_spot=instance.get("InstanceLifecycle") == "spot",
        launched_at=instance["LaunchTime"].timestamp(),
        deadline=float(deadline) if deadline.isdecimal() else None,
        flow_run_id=labels.get(machine_tags.FLOW_RUN, ""),
        user=labels.get(machine_tags.FROM_PARAMETERS["user"], ""),
        project=labels.get(machine_tags.FROM_PARAMETERS["project"], ""),
    )


def _run_end(client: SyncPrefectClient, machine: Machine) -> RunEnd | None:
    try:
        run = client.read_flow_run(UUID(machine.flow_run_id))
    except (ObjectNotFound, ValueError):
        return None
    if run.state is None or not run.state.is_final():
        return RunEnd(None)
    return RunEnd(run.state.timestamp.timestamp())


def _row(machine: Machine, dollars: float | None, now: float) -> dict[str, str]:
    return {
        "machine": machine.instance_id,
        "type": f"{machine.instance_type} {'spot' if machine.is_spot else 'on demand'}",
        "user": machine.user,
        "project": machine.project,
        "minutes": f"{(now - machine.launched_at) / 60:.0f}",
        "dollars": "unknown" if dollars is None else f"{dollars:.3f}",
        "ended because": machine.why_ended,
    }
