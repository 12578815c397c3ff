"""AWS clients. In local mode none is made that could reach a real account."""

import os
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import boto3
from botocore.config import Config

from contracts.errors import InvalidRequest
from lambdas.state import State
from tasks.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_codebuild import CodeBuildClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client

LOOPBACK = ("127.0.0.1", "localhost", "::1")
DUMMY_CREDENTIAL = "test"


@cache
def session() -> boto3.Session:
    """The one session of the process, built from the environment's credentials.

    Raises `InvalidRequest` in local mode unless the endpoint is on loopback and the credentials
    are the dummy ones.
    """
    if settings().place == "local":
        refuse_real_account()
        return boto3.Session(DUMMY_CREDENTIAL, DUMMY_CREDENTIAL, region_name=settings().region)
    return boto3.Session(region_name=settings().region)


def refuse_real_account() -> None:
    """Raise `InvalidRequest` unless every AWS call of this process stays on this machine."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    own = sorted(n for n in os.environ if n.startswith("AWS_ENDPOINT_URL_"))
    if urlparse(endpoint).hostname not in LOOPBACK:
        raise InvalidRequest(
            f"local mode, but AWS_ENDPOINT_URL is {endpoint or 'not set'!r}",
            fix="set it to the emulator's address, such as http://127.0.0.1:4566",
        )
    if own:
        raise InvalidRequest(
            f"local mode, but {own[0]} names another address for one service",
            fix=f"unset {own[0]}",
        )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        if os.environ.get(name) != DUMMY_CREDENTIAL:
            raise InvalidRequest(
                f"local mode, but {name} is not the dummy credential",
                fix=f"set {name}={DUMMY_CREDENTIAL}, so that no real account can be reached",
            )
    if os.environ.get("AWS_PROFILE"):
        raise InvalidRequest("local mode, but AWS_PROFILE is set", fix="unset AWS_PROFILE")


@cache
def s3() -> "S3Client":
    """Many connections: examples are small and many."""
    pool = settings().transfer_threads + 4
    if settings().place == "local":
        config = Config(max_pool_connections=pool, s3={"addressing_style": "path"})
    else:
        config = Config(max_pool_connections=pool)
    return session().client("s3", config=config)


@cache
def functions() -> "LambdaClient":
    """A cold start may take seconds, so reads wait longer than the functions run."""
    config = Config(read_timeout=settings().function_timeout_seconds + 30)
    return session().client("lambda", config=config)


@cache
def ec2() -> "EC2Client":
    """For looking after training machines."""
    return session().client("ec2")


@cache
def builds() -> "CodeBuildClient":
    """For container images of large models."""
    return session().client("codebuild")


@cache
def images() -> "ECRClient":
    """Where container images lie."""
    return session().client("ecr")


@cache
def logs() -> Any:
    """Reading logs is limited to some calls a second for the whole account, so it is patient."""
    return session().client("logs", config=Config(retries={"mode": "adaptive", "max_attempts": 9}))


@cache
def state() -> State:
    """The state table."""
    return State(session().client("dynamodb"), settings().table)
