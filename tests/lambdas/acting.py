"""Handlers under the role that the template gives them: what it lacks, the tests of a call find.

Whatever a test does itself, it does as the account's owner.
"""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

import boto3

from deployments.template import Template
from lambdas import environment
from lambdas.state import State

ACCOUNT, REGION, STACK = "000000000000", "us-east-1", "exemplar"
BUCKET, TABLE = f"{STACK}-data-{ACCOUNT}-{REGION}", f"{STACK}-state"
_lock = threading.Lock()
_acting: list[str] = []  # once for each call in progress
_patches = ExitStack()
_VARIABLES = {
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::StackName": STACK,
}
_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
)


@contextmanager
def acting(role: str) -> Iterator[None]:
    """What `lambdas.environment` gives meanwhile has the credentials of a role of the template.

    It does so for the whole process, as handlers have threads of their own.
    """
    s3, functions, state = _clients(os.environ["AWS_ENDPOINT_URL"], role)
    made: dict[str, Any] = dict.fromkeys(("functions", "models"), lambda: functions)
    made |= {"s3": lambda: s3, "state": lambda: state}
    with _lock:
        if not _acting:
            _patches.enter_context(patch.multiple(environment, **made))
        _acting.append(role)
    try:
        yield
    finally:
        with _lock:
            _acting.remove(role)
            if not _acting:
                _patches.close()


def make_role(iam: Any, name: str, document: Any = None) -> str:
    """A role that anybody may assume; returns its ARN."""
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=_TRUST)
    if document:
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(document))
    return str(iam.get_role(RoleName=name)["Role"]["Arn"])


def policy_of(role: str) -> Any:
    """What the template allows a role."""
    properties = Template.load().resources[role]["Properties"]
    return _resolved(properties["Policies"][0]["PolicyDocument"])


@cache
def _clients(endpoint: str, role: str) -> tuple[Any, Any, State]:
    owner = boto3.Session("test", "test", region_name=REGION)
    arn = make_role(owner.client("iam", endpoint_url=endpoint), role, policy_of(role))
    sts = owner.client("sts", endpoint_url=endpoint)
    got = sts.assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    session = boto3.Session(got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"], REGION)
    s3, functions, dynamodb = (
        session.client(service, endpoint_url=endpoint) for service in ("s3", "lambda", "dynamodb")
    )
    return s3, functions, State(dynamodb, TABLE)


def _resolved(part: Any) -> Any:
    """As CloudFormation would; other resources than the bucket and the table are made up."""
    if isinstance(part, list):
        return [_resolved(item) for item in part]
    if not isinstance(part, dict):
        return part
    if "Fn::Sub" in part:
        text = str(part["Fn::Sub"])
        for name, value in _VARIABLES.items():
            text = text.replace(f"${{{name}}}", value)
        return text
    if "Fn::GetAtt" in part or "Ref" in part:
        return f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:none"
    return {name: _resolved(value) for name, value in part.items()}
