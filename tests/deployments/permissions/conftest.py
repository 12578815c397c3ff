"""The real template, deployed where IAM decides on every request."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

from contracts.archive import write_zip
from contracts.identity import Project
from deployments.deploy import DeploySettings, StackOutputs, deploy
from deployments.packaging import Archive, Builder
from tasks import clients
from tasks.inference_identity import ensure_forward_identity, ensure_inference_identity
from tasks.settings import settings
from tasks.training_identity import ensure_training_identity
from tests.deployments.permissions.account import ANYBODY, EVERYTHING, REGION, STACK, Account
from tests.deployments.permissions.table import everybody, lines
from tests.emulator_process import emulator, free_port

PARAMETERS = {
    "Training": "ec2",
    "TrainingVpc": "vpc-0a1b2c3d",
    "TrainingSubnets": "subnet-1",
    "LargeModels": "images",
}
PROJECTS = (Project("ann", "cats"), Project("ann", "dogs"), Project("bob", "cats"))
CACHED = (
    settings,
    clients.session,
    clients.s3,
    clients.functions,
    clients.state,
    clients.images,
    clients.logs,
    clients.ec2,
)


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    port, folder = free_port(), tmp_path_factory.mktemp("emulator")
    with emulator(folder, port, "tests.authorizing_emulator"):
        with pytest.MonkeyPatch.context() as patch:
            found = _deployed(f"http://127.0.0.1:{port}", folder, patch)
            _fill(found)
            act_as(found, "", patch)
            _take_roles(found)
        forget()
        yield found


@pytest.fixture
def clean(account: Account) -> Iterator[None]:
    """Nothing of what a test was allowed is left to the next."""
    yield
    forget()


def act_as(account: Account, who: str, patch: pytest.MonkeyPatch) -> None:
    for name, value in account.environment(who).items():
        patch.setenv(name, value)
    forget()


def forget() -> None:
    for cached in CACHED:
        cached.cache_clear()


def _deployed(endpoint: str, folder: Path, patch: pytest.MonkeyPatch) -> Account:
    patch.setenv("AWS_ENDPOINT_URL", endpoint)
    path = folder / "any.zip"
    archive = Archive(path, write_zip([("main.py", b"def handler(event, context): pass")], path))
    patch.setattr(Builder, "control_zip", lambda self: archive)
    patch.setattr(Builder, "inference_layer", lambda self: archive)
    session = boto3.Session("test", "test", region_name=REGION)
    wanted = DeploySettings(folder, "http://127.0.0.1:1/api", stack=STACK, parameters=PARAMETERS)
    outputs = deploy(wanted, session)
    pages = session.client("cloudformation").get_paginator("list_stack_resources")
    resources = {
        entry["LogicalResourceId"]: entry["PhysicalResourceId"]
        for page in pages.paginate(StackName=STACK)
        for entry in page["StackResourceSummaries"]
    }
    found = Account(endpoint, session, outputs, resources, path.read_bytes())
    return replace(found, outputs=_with_secret_arn(found))


def _with_secret_arn(account: Account) -> StackOutputs:
    """A secret's Ref is its ARN; the emulator's CloudFormation gives the name."""
    name, iam = account.outputs.trainer_secret_arn, account.client("iam")
    arn = account.client("secretsmanager").describe_secret(SecretId=name)["ARN"]
    boundary = {"PolicyArn": account.outputs.trainer_boundary_arn}
    version = iam.get_policy_version(**boundary, VersionId="v1")["PolicyVersion"]
    document = json.dumps(version["Document"]).replace(f'"{name}"', f'"{arn}"')
    iam.create_policy_version(**boundary, PolicyDocument=document, SetAsDefault=True)
    return replace(account.outputs, trainer_secret_arn=arn)


def _fill(account: Account) -> None:
    """Functions and objects that others must not touch."""
    functions, s3 = account.client("lambda"), account.client("s3")
    for project in PROJECTS:
        for name in (project.function_name(STACK), project.image_function_name(STACK)):
            functions.create_function(**account.function(name, account.role_arn("InferenceRole")))
            functions.publish_version(FunctionName=name)
        functions.create_alias(
            FunctionName=project.function_name(STACK), Name="live", FunctionVersion="1"
        )
    buckets = {"data": account.outputs.bucket, "code": account.outputs.code_bucket}
    for line in lines():
        if line.action.startswith("s3:") and not line.what.endswith("/"):
            kind, _, key = line.what.partition("/")
            s3.put_object(Bucket=buckets[kind], Key=key, Body=b"content")


def _take_roles(account: Account) -> None:
    """Those of the template, those made for projects, and one for each policy that workers have."""
    for project in PROJECTS:
        who = f"{project.user}/{project.name}"
        account.assume(f"{who} function", ensure_inference_identity(project).rpartition("/")[2])
        account.assume(f"{who} forwarder", ensure_forward_identity(project).rpartition("/")[2])
        account.assume(f"{who} trainer", ensure_training_identity(project))
    for kind, path, boundary in (
        ("infer", "inference", "InferenceBoundary"),
        ("train", "trainers", "TrainerBoundary"),
    ):
        account.make_role(path, f"{STACK}-{kind}_other", boundary)
        account.make_role(path, f"{STACK}-{kind}_outgrown", boundary, EVERYTHING)
    account.assume("outgrown function", f"{STACK}-infer_outgrown")
    account.assume("outgrown trainer", f"{STACK}-train_outgrown")
    policies = [name for name in everybody() if name.endswith("Policy")]
    for name in everybody():
        if name.endswith("Role"):
            account.assume(name, account.resources[name])
    for name in policies:
        _attach(account, name, [name])
    _attach(account, "worker", ["DeployerPolicy", "TrainingPolicy", "LargeModelPolicy"])


def _attach(account: Account, who: str, policies: list[str]) -> None:
    iam, role = account.client("iam"), f"with-{who}"
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=ANYBODY)
    for policy in policies:
        iam.attach_role_policy(RoleName=role, PolicyArn=account.resources[policy])
    account.assume(who, role)
