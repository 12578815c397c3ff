"""Starting the machine of one attempt of one flow run: exactly one, somewhere it can be had."""

import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from contracts import machine_tags as tags
from contracts.errors import ExemplarError, InvalidRequest
from deployments.ec2.configuration import EC2JobConfiguration
from deployments.ec2.user_data import user_data

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


class LaunchRefused(InvalidRequest):
    """EC2 will refuse this request again."""

    code = "launch_refused"


@dataclass(frozen=True, slots=True)
class Option:
    """One place to ask for a machine."""

    instance_type: str
    is_spot: bool
    subnet_id: str = ""

    @property
    def name(self) -> str:
        """For logs, and for the client token."""
        market = "spot" if self.is_spot else "on-demand"
        return "-".join(filter(None, [market, self.instance_type, self.subnet_id]))


@dataclass(frozen=True, slots=True)
class Attempt:
    """Which run the machine is for; `number` is the run's `run_count` so far.

    `asked_at` is when the worker took it, in seconds since the epoch.
    """

    flow_run_id: str
    number: int
    asked_at: int
    pool: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Started:
    """A machine, and where it was had."""

    instance_id: str
    where: str


def options(configuration: EC2JobConfiguration) -> Iterator[Option]:
    """Every place in order: all types and subnets as spot first, then on demand."""
    markets = {"spot-then-on-demand": (True, False), "spot": (True,), "on-demand": (False,)}
    for is_spot in markets[configuration.market]:
        for instance_type in configuration.instance_types:
            for subnet_id in configuration.subnet_ids or [""]:
                yield Option(instance_type, is_spot, subnet_id)


def find_live(client: "EC2Client", attempt: Attempt) -> str | None:
    """The machine an earlier call has started for this attempt, if it still lives."""
    pages = client.get_paginator("describe_instances").paginate(
        Filters=[
            {"Name": f"tag:{tags.FLOW_RUN}", "Values": [attempt.flow_run_id]},
            {"Name": f"tag:{tags.ATTEMPT}", "Values": [str(attempt.number)]},
            {"Name": "instance-state-name", "Values": ["pending", "running"]},
        ]
    )
    found = [i["InstanceId"] for p in pages for r in p["Reservations"] for i in r["Instances"]]
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
            instance_id = _run(client, request(attempt, configuration, option))
            return Started(instance_id, option.name)
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


def request(attempt: Attempt, configuration: EC2JobConfiguration, option: Option) -> dict[str, Any]:
    """The RunInstances request."""
    labels = as_tags(attempt, configuration)
    wanted: dict[str, Any] = {
        "ImageId": configuration.image_id,
        "InstanceType": option.instance_type,
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken": _token(attempt, option),
        "UserData": user_data(configuration),
        "InstanceInitiatedShutdownBehavior": "terminate",
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        "BlockDeviceMappings": [
            {
                "DeviceName": "/dev/xvda",
                "Ebs": {
                    "VolumeSize": configuration.disk_gb,
                    "VolumeType": "gp3",
                    "Encrypted": True,
                    "DeleteOnTermination": True,
                },
            }
        ],
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": tags.as_list(labels)} for kind in ("instance", "volume")
        ],
    }
    if option.is_spot:
        wanted["InstanceMarketOptions"] = {
            "MarketType": "spot",
            "SpotOptions": {
                "SpotInstanceType": "one-time",  # a persistent request would start machines anew
                "InstanceInterruptionBehavior": "terminate",
            },
        }
    if configuration.instance_profile:
        wanted["IamInstanceProfile"] = {"Name": _profile(attempt, configuration)}
    if configuration.security_group_ids:
        wanted["SecurityGroupIds"] = configuration.security_group_ids
    if option.subnet_id:
        wanted["SubnetId"] = option.subnet_id
    if configuration.launch_template_id:
        wanted["LaunchTemplate"] = {"LaunchTemplateId": configuration.launch_template_id}
    return wanted


def as_tags(attempt: Attempt, configuration: EC2JobConfiguration) -> dict[str, str]:
    """Whose machine it is, and when it must be gone."""
    deadline = attempt.asked_at + configuration.max_lifetime_minutes * 60
    own = {
        "Name": f"exemplar {configuration.name or attempt.flow_run_id}"[:256],
        tags.POOL: attempt.pool,
        tags.FLOW_RUN: attempt.flow_run_id,
        tags.ATTEMPT: str(attempt.number),
        tags.DEADLINE: str(deadline),
    }
    known = {
        tag: str(attempt.parameters[name])[:256]
        for name, tag in tags.FROM_PARAMETERS.items()
        if attempt.parameters.get(name)
    }
    return configuration.tags | known | own


def _await_live(client: "EC2Client", attempt: Attempt) -> str | None:
    """A machine started a moment ago may not be listed yet."""
    for _ in range(10):
        if found := find_live(client, attempt):
            return found
        time.sleep(_RETRY_SECONDS)
    return None


def _run(client: "EC2Client", wanted: dict[str, Any]) -> str:
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
            return answer["Instances"][0]["InstanceId"]


def _profile(attempt: Attempt, configuration: EC2JobConfiguration) -> str:
    values = {name: str(attempt.parameters.get(name, "")) for name in ("user", "project")}
    return configuration.instance_profile.format(**values)


def _token(attempt: Attempt, option: Option) -> str:
    """Repeating a request starts nothing twice; another option, or a later attempt, does start."""
    place = zlib.crc32(option.name.encode())
    return f"{attempt.flow_run_id}-{attempt.number}-{attempt.asked_at:x}-{place:08x}"  # at most 64


def _refused(error: ClientError, option: Option) -> LaunchRefused:
    details = error.response["Error"]
    return LaunchRefused(
        f"EC2 refused to start a machine ({option.name}): "
        f"{details['Code']}: {details.get('Message', '')[:300]}",
        fix="correct the work pool's settings (AMI, subnets, instance profile, permissions)",
    )
