"""Roles of endpoints: made once, completed after a kill, never taken over."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from contracts.errors import Conflict
from contracts.identity import Project
from tasks import project_roles
from tasks.inference_identity import (
    delete_inference_identity,
    ensure_forward_identity,
    ensure_inference_identity,
    role_path,
)
from tasks.settings import settings

SHARED = "arn:aws:iam::000000000000:role/inference"  # as `tasks_environment` has it


@pytest.fixture
def boundary(emulator: Any, tasks_environment: pytest.MonkeyPatch) -> Iterator[str]:
    iam = emulator.client("iam")
    allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    arn = str(
        iam.create_policy(PolicyName="of-endpoints", PolicyDocument=document)["Policy"]["Arn"]
    )
    tasks_environment.setenv("EXEMPLAR_INFERENCE_BOUNDARY_ARN", arn)
    tasks_environment.setenv("EXEMPLAR_FORWARD_ROLE_ARN", "arn:aws:iam::000000000000:role/forward")
    settings.cache_clear()
    yield arn
    for role in iam.list_roles()["Roles"]:
        if role["Path"] == role_path("exemplar"):
            project_roles.remove_role(iam, role["RoleName"])
    iam.delete_policy(PolicyArn=arn)


def test_each_project_has_its_own_below_the_boundary(emulator: Any, boundary: str) -> None:
    iam = emulator.client("iam")
    made = {
        ensure(Project(user, name))
        for ensure in (ensure_inference_identity, ensure_forward_identity)
        for user in ("ann", "bob")
        for name in ("cats", "cat")
    }
    assert len(made) == 8
    for arn in made:
        role = iam.get_role(RoleName=arn.rpartition("/")[2])["Role"]
        assert role["Arn"] == arn
        assert role["Path"] == "/exemplar/inference/"
        assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary


def test_a_kill_at_any_step_is_made_good(emulator: Any, boundary: str) -> None:
    iam, project = emulator.client("iam"), Project("ann", "killed")
    arn = ensure_inference_identity(project)
    name = arn.rpartition("/")[2]
    iam.delete_role_policy(RoleName=name, PolicyName=project_roles.POLICY_NAME)
    assert ensure_inference_identity(project) == arn
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == [project_roles.POLICY_NAME]
    iam.delete_role_policy(RoleName=name, PolicyName=project_roles.POLICY_NAME)
    iam.delete_role(RoleName=name)
    assert ensure_inference_identity(project) == arn
    for _ in range(2):
        delete_inference_identity(project)
        with pytest.raises(iam.exceptions.NoSuchEntityException):
            iam.get_role(RoleName=name)


def test_a_role_without_the_boundary_is_not_used(emulator: Any, boundary: str) -> None:
    iam, project = emulator.client("iam"), Project("eve", "cats")
    name = project.inference_role_name("exemplar")
    iam.create_role(RoleName=name, Path=role_path("exemplar"), AssumeRolePolicyDocument="{}")
    with pytest.raises(Conflict, match="below none; it has to be at /exemplar/inference/"):
        ensure_inference_identity(project)
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == []


def test_without_a_boundary_all_share_the_stacks_role(
    emulator: Any, tasks_environment: Any
) -> None:
    before = len(emulator.client("iam").list_roles()["Roles"])
    assert ensure_inference_identity(Project("ann", "shares")) == SHARED
    assert ensure_forward_identity(Project("ann", "shares")) == ""
    assert len(emulator.client("iam").list_roles()["Roles"]) == before
