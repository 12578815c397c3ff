"""What the control functions share: clients made once per container, settings from variables."""

import os
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from lambdas.quotas import HeldQuotas
from lambdas.rollback import Place
from lambdas.state import State
from lambdas.stored_bytes import StoredBytes

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client


@cache
def s3() -> "S3Client":
    """A loopback emulator has no bucket host names, so there addresses are path-style.

    On AWS they are at the bucket's host in its region, which is the one that the page may call.
    """
    if os.environ.get("AWS_ENDPOINT_URL"):
        return boto3.client("s3", config=_signing("path"))
    return boto3.client("s3", config=_signing("virtual"))


def _signing(addressing: Any) -> Config:
    place: Any = {"addressing_style": addressing, "us_east_1_regional_endpoint": "regional"}
    return Config(signature_version="s3v4", s3=place)


@cache
def functions() -> "LambdaClient":
    """For invoking the ingest function and for moving what is live."""
    return boto3.client("lambda")


@cache
def models() -> "LambdaClient":
    """For asking live models: one attempt, as the caller waits, and for at most 29 seconds."""
    config = Config(connect_timeout=2, read_timeout=25, retries={"total_max_attempts": 1})
    return boto3.client("lambda", config=config)


@cache
def logs() -> Any:
    """For lines that nobody has counted yet; whoever waits for them waits for nothing else."""
    config = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 2})
    return boto3.client("logs", config=config)


@cache
def state() -> State:
    """The state table of this stack."""
    return State(boto3.client("dynamodb"), os.environ["EXEMPLAR_TABLE"])


def place() -> Place:
    """Where releases are changed."""
    return Place(functions(), state(), stack())


def quotas(user: str) -> HeldQuotas:
    """What a user has of the quotas."""
    return HeldQuotas(state(), user)


def stored_bytes(user: str) -> StoredBytes:
    """How many bytes a user's examples have."""
    return StoredBytes(state(), s3(), bucket(), user)


def bucket() -> str:
    """The data bucket of this stack."""
    return os.environ["EXEMPLAR_BUCKET"]


def ingest_function() -> str:
    """Name of the function that starts pipelines."""
    return os.environ["EXEMPLAR_INGEST_FUNCTION"]


def user_claim() -> str:
    """By which claim of a JWT users are known; empty where they have tokens of this system."""
    return os.environ.get("EXEMPLAR_USER_CLAIM", "")


def links() -> dict[str, str]:
    """Where users may look at what is behind the API; empty where nobody said so."""
    names = {"prefect": "EXEMPLAR_PREFECT_LINK", "mlflow": "EXEMPLAR_MLFLOW_LINK"}
    return {name: os.environ.get(variable, "") for name, variable in names.items()}


def stack() -> str:
    """Name of this stack, with which those of its functions begin."""
    return os.environ["EXEMPLAR_STACK"]
