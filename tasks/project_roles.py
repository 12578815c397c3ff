"""One IAM role per project and purpose, each below a boundary that it cannot outgrow."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self

from contracts import machine_tags
from contracts.errors import Conflict
from contracts.identity import Project
from tasks.settings import settings

POLICY_NAME: Final = "project"
Statement = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Places:
    """Where a stack's resources are, as ARNs."""

    partition: str
    region: str
    account: str
    bucket_name: str
    table_name: str
    code_bucket_name: str = ""
    trainer_credentials: str = ""  # a secret

    @classmethod
    def at_hand(cls, boundary_arn: str) -> Self:
        """Of the stack in this process's settings; a boundary names the account."""
        current, parts = settings(), boundary_arn.split(":")
        return cls(
            partition=parts[1],
            region=current.region,
            account=parts[4],
            bucket_name=current.bucket,
            table_name=current.table,
            code_bucket_name=current.code_bucket,
            trainer_credentials=current.trainer_secret_arn,
        )

    @property
    def bucket(self) -> str:
        """The data bucket."""
        return f"arn:{self.partition}:s3:::{self.bucket_name}"

    @property
    def code_bucket(self) -> str:
        """What machines and functions are made from; empty where there is none."""
        return f"arn:{self.partition}:s3:::{self.code_bucket_name}" if self.code_bucket_name else ""

    @property
    def table(self) -> str:
        """The state table."""
        return f"{self._regional('dynamodb')}:table/{self.table_name}"

    def function(self, name: str) -> str:
        """A Lambda function."""
        return f"{self._regional('lambda')}:function:{name}"

    def log_streams(self, function: str) -> str:
        """Everything in a function's log group."""
        return f"{self._regional('logs')}:log-group:/aws/lambda/{function}:*"

    def _regional(self, service: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}"


@dataclass(frozen=True, slots=True)
class ProjectRole:
    """A role to be made; `service` is the one that hands its credentials out."""

    project: Project
    name: str
    path: str
    service: str
    boundary_arn: str
    statements: tuple[Statement, ...]


def ensure_role(iam: Any, role: ProjectRole) -> str:
    """Make or complete the role and return its ARN. May be killed and repeated.

    Raises `Conflict` when a role of that name is not of this stack or has another boundary.
    """
    unless_there(
        iam,
        iam.create_role,
        RoleName=role.name,
        Path=role.path,
        AssumeRolePolicyDocument=json.dumps(_trust(role.service)),
        PermissionsBoundary=role.boundary_arn,
        Tags=_tags(role.project),
    )
    found = iam.get_role(RoleName=role.name)["Role"]
    boundary = found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", "none")
    if (found["Path"], boundary) != (role.path, role.boundary_arn):
        raise Conflict(
            f"a role {role.name!r} is there already, at {found['Path']} below {boundary}; it has "
            f"to be at {role.path} below {role.boundary_arn}",
            fix=f"see whose it is, then: aws iam delete-role --role-name {role.name}",
        )
    iam.put_role_policy(
        RoleName=role.name,
        PolicyName=POLICY_NAME,
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": role.statements}),
    )
    return str(found["Arn"])


def remove_role(iam: Any, name: str) -> None:
    """Remove a role and its policy; absent ones are no error."""
    unless_absent(iam, iam.delete_role_policy, RoleName=name, PolicyName=POLICY_NAME)
    unless_absent(iam, iam.delete_role, RoleName=name)


def unless_there(iam: Any, create: Callable[..., Any], **arguments: Any) -> None:
    """Call something of IAM that makes what may be there already."""
    try:
        create(**arguments)
    except iam.exceptions.EntityAlreadyExistsException:
        return


def unless_absent(iam: Any, delete: Callable[..., Any], **arguments: Any) -> None:
    """Call something of IAM that deletes what may be gone already."""
    try:
        delete(**arguments)
    except iam.exceptions.NoSuchEntityException:
        return


def allow(
    actions: list[str], resources: list[str], condition: dict[str, Any] | None = None
) -> Statement:
    """One statement of a policy."""
    statement: Statement = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return statement | ({"Condition": condition} if condition else {})


def only_partition(pattern: str) -> dict[str, Any]:
    """The condition that a request names partitions of the table like this and no others.

    `ForAllValues` also holds for a request without keys, such as a scan, hence `Null`.
    """
    return {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": [pattern]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }


def _trust(service: str) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _tags(project: Project) -> list[dict[str, str]]:
    return machine_tags.as_list(
        {
            machine_tags.STACK: settings().stack,
            machine_tags.FROM_PARAMETERS["user"]: project.user,
            machine_tags.FROM_PARAMETERS["project"]: project.name,
        }
    )
