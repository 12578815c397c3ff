"""The account at hand: whose it is, where, and whether what is asked for can be had there."""

import os
from dataclasses import dataclass, field
from typing import Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from contracts.errors import InvalidRequest, Unauthorized
from deployments.connection import is_loopback
from deployments.packaging import Platform

LAMBDA_PYTHON: Final = "3.12"


@dataclass(frozen=True, slots=True)
class Account:
    """An AWS account and region, reached with the environment's credentials."""

    session: boto3.Session = field(repr=False)
    number: str
    region: str
    caller: str

    @classmethod
    def at_hand(cls, region: str = "") -> "Account":
        """Raises `InvalidRequest` without a region and `Unauthorized` without credentials."""
        session = boto3.Session(region_name=region or None)
        if not session.region_name:
            raise InvalidRequest(
                "no AWS region is named", fix="add --region eu-central-1, or set AWS_DEFAULT_REGION"
            )
        try:
            identity = session.client("sts").get_caller_identity()
        except NoCredentialsError as error:
            raise Unauthorized(
                "there are no AWS credentials",
                fix="log in, e.g. with `aws sso login`, or set AWS_PROFILE",
            ) from error
        except (BotoCoreError, ClientError) as error:
            raise Unauthorized(
                f"AWS does not take these credentials: {error}",
                fix="log in again, e.g. with `aws sso login`",
            ) from error
        return cls(session, identity["Account"], session.region_name, identity["Arn"])

    def client(self, service: str) -> Any:
        """A client in this region."""
        return self.session.client(service)  # type: ignore[call-overload]

    @property
    def platform(self) -> Platform:
        """What the functions' zips have to fit: an emulator on this machine runs this Python."""
        is_here = is_loopback(os.environ.get("AWS_ENDPOINT_URL", ""))
        return Platform.LOCAL if is_here else Platform.LAMBDA


@dataclass(frozen=True, slots=True)
class Network:
    """Where machines may start."""

    vpc: str
    subnets: tuple[str, ...]


def find_network(account: Account, vpc: str, subnets: tuple[str, ...] = ()) -> Network:
    """The VPC, looked up if it is 'default', and its subnets unless some are named.

    Raises `InvalidRequest` for what does not exist or does not belong together.
    """
    ec2 = account.client("ec2")
    vpc = _default_vpc(ec2, account.region) if vpc == "default" else vpc
    pages = ec2.get_paginator("describe_subnets").paginate(
        Filters=[{"Name": "vpc-id", "Values": [vpc]}]
    )
    known = sorted(subnet["SubnetId"] for page in pages for subnet in page["Subnets"])
    if not known:
        raise InvalidRequest(
            f"{vpc} has no subnets in {account.region}",
            fix="name another VPC, or the region it lies in",
        )
    if strange := sorted(set(subnets) - set(known)):
        raise InvalidRequest(
            f"{strange[0]} is no subnet of {vpc}", fix=f"choose from {', '.join(known)}"
        )
    return Network(vpc, tuple(subnets) or tuple(known))


def _default_vpc(ec2: Any, region: str) -> str:
    found = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    if not found:
        raise InvalidRequest(
            f"the account has no default VPC in {region}",
            fix="name one: --vpc vpc-0123456789abcdef",
        )
    return str(found[0]["VpcId"])
