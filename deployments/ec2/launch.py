"""Starting the machine of one attempt of one flow run: exactly one, somewhere it can be had."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from contracts import machine_tags as tags
from contracts.errors import ExemplarError
from deployments.ec2.configuration import EC2JobConfiguration
from deployments.ec2.request import Attempt, LaunchRefused, Option, options, request

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

LIVE_STATES: Final = ("pending", "running", "shutting-down", "stopping", "stopped")

# Elsewhere, or in the other market, there may be one.
_NOT_HERE: Final = frozenset(
    {
        "InsufficientCapacity",
        "InsufficientHostCapacity",
        "InsufficientInstanceCapacity",
        "InsufficientFreeAddressesInSubnet",
        "InstanceLimitExceeded",
        "MaxSpotInstanceCountExceeded",
        "RequestLimitExceeded",
        "SpotMaxPriceTooLow",
        "Unsupported",
        "VcpuLimitExceeded",
    }
)
_NEW_PROFILE_SECONDS: Final = 60.0  # until a new instance profile is known everywhere
_RETRY_SECONDS: Final = 3.0
_BEFORE: Final = "started before"


class NoCapacity(ExemplarError):
    """No instance type could be had in any zone or allowed market; later one may."""

    code = "no_capacity"


@dataclass(frozen=True, slots=True)
class Started:
    """A machine as EC2 describes it, and where it was had."""

    instance: Mapping[str, Any]
    where: str

    @property
    def instance_id(self) -> str:
        """EC2's name of it."""
        return str(self.instance["InstanceId"])


def find_live(client: "EC2Client", attempt: Attempt) -> Mapping[str, Any] | None:
    """The machine an earlier call has started for this attempt, if it still lives."""
    pages = client.get_paginator("describe_instances").paginate(
        Filters=[
            {"Name": f"tag:{tags.FLOW_RUN}", "Values": [attempt.flow_run_id]},
            {"Name": f"tag:{tags.ATTEMPT}", "Values": [str(attempt.number)]},
            {"Name": "instance-state-name", "Values": ["pending", "running"]},
        ]
    )
    found = [dict(i) for p in pages for r in p["Reservations"] for i in r["Instances"]]
    return found[0] if found else None


def launch(client: "EC2Client", attempt: Attempt, configuration: EC2JobConfiguration) -> Started:
    """Return the attempt's machine, started now or before.

    Raises `NoCapacity` when every option was refused for now, `LaunchRefused` for what a person
    has to correct.
    """
    if existing := find_live(client, attempt):
        return Started(existing, _BEFORE)
    refusals = []
    for option in options(configuration):
        try:
            instance = _run(client, request(attempt, configuration, option))
            return Started(instance, option.name)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "IdempotentParameterMismatch" and (known := _await_live(client, attempt)):
                return Started(known, _BEFORE)
            if code not in _NOT_HERE:
                raise _refused(error, option) from error
            refusals.append(f"{option.name}: {code}")
    raise NoCapacity(
        "EC2 has no machine for this run now (" + "; ".join(refusals) + ")",
        fix="allow more instance types, zones or the on-demand market, or raise the quota",
    )


def _await_live(client: "EC2Client", attempt: Attempt) -> Mapping[str, Any] | None:
    """A machine started a moment ago may not be listed yet."""
    for _ in range(10):
        if found := find_live(client, attempt):
            return found
        time.sleep(_RETRY_SECONDS)
    return None


def _run(client: "EC2Client", wanted: dict[str, Any]) -> Mapping[str, Any]:
    """One machine; a profile made a moment ago takes some seconds to be known."""
    deadline = time.monotonic() + _NEW_PROFILE_SECONDS
    while True:
        try:
            answer = client.run_instances(**wanted)
        except ClientError as error:
            is_new_profile = "Invalid IAM Instance Profile" in str(error)
            if not is_new_profile or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return dict(answer["Instances"][0])


def _refused(error: ClientError, option: Option) -> LaunchRefused:
    details = error.response["Error"]
    return LaunchRefused(
        f"EC2 refused to start a machine ({option.name}): "
        f"{details['Code']}: {details.get('Message', '')[:300]}",
        fix="correct the work pool's settings (AMI, subnets, instance profile, permissions)",
    )
