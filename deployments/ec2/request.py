"""What EC2 is asked for: one machine for one attempt of one flow run, in one of several places."""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from contracts import machine_tags as tags
from contracts.errors import InvalidRequest
from contracts.prices import AS_OF, hourly_dollars
from deployments.ec2.configuration import EC2JobConfiguration
from deployments.ec2.user_data import user_data

_LEAST_MINUTES: Final = 2  # of a machine's life; less is not worth its start


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

    `asked_at` is when the worker took it, in seconds since the epoch; `spent_dollars` what the
    run's earlier machines have cost.
    """

    flow_run_id: str
    number: int
    asked_at: int
    pool: str
    parameters: Mapping[str, Any]
    spent_dollars: float = 0.0


def options(configuration: EC2JobConfiguration) -> Iterator[Option]:
    """Every place in order: all types and subnets as spot first, then on demand."""
    markets = {"spot-then-on-demand": (True, False), "spot": (True,), "on-demand": (False,)}
    for is_spot in markets[configuration.market]:
        for instance_type in configuration.instance_types:
            for subnet_id in configuration.subnet_ids or [""]:
                yield Option(instance_type, is_spot, subnet_id)


def request(attempt: Attempt, configuration: EC2JobConfiguration, option: Option) -> dict[str, Any]:
    """The RunInstances request. Raises `LaunchRefused` when the budget leaves no time for it."""
    minutes = lifetime_minutes(attempt, configuration, option)
    configuration = configuration.model_copy(update={"max_lifetime_minutes": minutes})
    labels = as_tags(attempt, configuration)
    wanted: dict[str, Any] = {
        "InstanceType": option.instance_type,
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken": _token(attempt, option),
        "UserData": user_data(configuration),
        "InstanceInitiatedShutdownBehavior": "terminate",
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": tags.as_list(labels)} for kind in ("instance", "volume")
        ],
    }
    wanted |= _image_and_disk(configuration)
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
    return wanted


def lifetime_minutes(attempt: Attempt, configuration: EC2JobConfiguration, option: Option) -> int:
    """How long the machine may live, by the pool's setting and by what is left of the budget.

    Raises `LaunchRefused` when that is too short, or when a budget is set and the price unknown.
    """
    if configuration.max_dollars is None:
        return configuration.max_lifetime_minutes
    hourly = hourly_dollars(
        option.instance_type, is_spot=option.is_spot, disk_gb=configuration.disk_gb
    )
    if hourly is None:
        raise LaunchRefused(
            f"the list prices of {AS_OF} know no {option.instance_type}, and the run has a budget",
            fix="choose a type that has a list price, or take the budget away",
        )
    left = configuration.max_dollars - attempt.spent_dollars
    minutes = min(configuration.max_lifetime_minutes, int(left / hourly * 60))
    if minutes < _LEAST_MINUTES:
        raise LaunchRefused(
            f"${attempt.spent_dollars:.2f} of the run's ${configuration.max_dollars:.2f} are "
            f"spent, and {option.instance_type} costs ${hourly:.2f} an hour",
            fix="start it again with a larger budget; it goes on from its last checkpoint",
        )
    return minutes


def _image_and_disk(configuration: EC2JobConfiguration) -> dict[str, Any]:
    image = {"ImageId": configuration.image_id} if configuration.image_id else {}
    if configuration.launch_template_id:
        # An updated template's newest version is not its default one.
        template = {"LaunchTemplateId": configuration.launch_template_id, "Version": "$Latest"}
        return image | {"LaunchTemplate": template}
    if not image:
        raise LaunchRefused(
            "the work pool names neither an AMI nor a launch template",
            fix="set one of them in the pool's settings",
        )
    disk = {
        "VolumeSize": configuration.disk_gb,
        "VolumeType": "gp3",
        "Encrypted": True,
        "DeleteOnTermination": True,
    }
    return image | {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": disk}]}


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


def _profile(attempt: Attempt, configuration: EC2JobConfiguration) -> str:
    values = {name: str(attempt.parameters.get(name, "")) for name in ("user", "project")}
    return configuration.instance_profile.format(**values)


def _token(attempt: Attempt, option: Option) -> str:
    """Repeating a request starts nothing twice; another option, or a later attempt, does start."""
    place = zlib.crc32(option.name.encode())
    return f"{attempt.flow_run_id}-{attempt.number}-{attempt.asked_at:x}-{place:08x}"  # at most 64
