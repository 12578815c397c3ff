"""Tags of a training machine: who it works for, and when it has to be gone."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

_IDS_PER_CALL: Final = 100
PREFIX: Final = "exemplar:"
STACK: Final = f"{PREFIX}stack"  # whose machine it is; nobody ends another stack's
POOL: Final = f"{PREFIX}pool"
FLOW_RUN: Final = f"{PREFIX}flow-run"
ATTEMPT: Final = f"{PREFIX}attempt"  # the flow run's run_count at launch
DEADLINE: Final = f"{PREFIX}deadline"  # seconds since the epoch; later than that it has leaked
# States in which a machine costs something; one that is shutting down does no more.
COSTING: Final = ("pending", "running", "stopping", "stopped")
# From the flow run's parameters of these names to tags.
FROM_PARAMETERS: Final = {
    "user": f"{PREFIX}user",
    "project": f"{PREFIX}project",
    "job_id": f"{PREFIX}job",
}


def of(instance: Mapping[str, Any]) -> dict[str, str]:
    """The tags in EC2's description of an instance."""
    return {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}


def as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """In the form of EC2's requests."""
    return [{"Key": name, "Value": value} for name, value in tags.items()]


def machines(ec2: Any, stack: str, states: Iterable[str] = COSTING) -> Iterator[Mapping[str, Any]]:
    """EC2's descriptions of a stack's machines, asked for with a client of EC2."""
    pages = ec2.get_paginator("describe_instances").paginate(
        Filters=[
            {"Name": f"tag:{STACK}", "Values": [stack]},
            {"Name": "instance-state-name", "Values": list(states)},
        ]
    )
    for page in pages:
        for reservation in page["Reservations"]:
            yield from reservation["Instances"]


def end(ec2: Any, instance_ids: list[str]) -> None:
    """Terminate machines, as many with each request as EC2 likes."""
    for start in range(0, len(instance_ids), _IDS_PER_CALL):
        ec2.terminate_instances(InstanceIds=instance_ids[start : start + _IDS_PER_CALL])
