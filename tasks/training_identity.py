"""The role of one project's training machines: they reach that project's data and no other's."""

import json
from typing import Any, Final

from contracts import machine_tags
from contracts.identity import Project
from contracts.keys import ProjectKeys
from tasks import clients
from tasks.settings import settings

_POLICY_NAME: Final = "project"
_TRUST: Final = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


def ensure_training_identity(project: Project) -> str:
    """Return the name of the project's instance profile, made or completed as needed.

    Empty where no boundary is configured, as on a laptop. Every step may be killed and repeated.
    IAM takes some seconds to tell EC2 of a new profile: RunInstances may refuse it until then.
    """
    current = settings()
    if not current.trainer_boundary_arn:
        return ""
    iam, name = clients.session().client("iam"), project.trainer_role_name(current.stack)
    _unless_there(
        iam,
        iam.create_role,
        RoleName=name,
        Path=role_path(current.stack),
        AssumeRolePolicyDocument=json.dumps(_TRUST),
        PermissionsBoundary=current.trainer_boundary_arn,
        Tags=machine_tags.as_list(
            {
                machine_tags.STACK: current.stack,
                machine_tags.FROM_PARAMETERS["user"]: project.user,
                machine_tags.FROM_PARAMETERS["project"]: project.name,
            }
        ),
    )
    iam.put_role_policy(
        RoleName=name,
        PolicyName=_POLICY_NAME,
        PolicyDocument=json.dumps(_policy(project, _partition(current.trainer_boundary_arn))),
    )
    _unless_there(
        iam,
        iam.create_instance_profile,
        InstanceProfileName=name,
        Path=role_path(current.stack),
    )
    if not iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]:
        try:
            iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
        except iam.exceptions.LimitExceededException:
            # Another process added it since: a profile holds one role.
            return name
    return name


def delete_training_identity(project: Project) -> None:
    """Remove role and profile; absent parts are no error."""
    remove_identity(clients.session().client("iam"), project.trainer_role_name(settings().stack))


def remove_identity(iam: Any, name: str) -> None:
    """Remove the role and profile of one name; absent parts are no error."""
    for call, arguments in (
        (iam.remove_role_from_instance_profile, {"InstanceProfileName": name, "RoleName": name}),
        (iam.delete_instance_profile, {"InstanceProfileName": name}),
        (iam.delete_role_policy, {"RoleName": name, "PolicyName": _POLICY_NAME}),
        (iam.delete_role, {"RoleName": name}),
    ):
        try:
            call(**arguments)
        except iam.exceptions.NoSuchEntityException:
            continue


def role_path(stack: str) -> str:
    """IAM path of a stack's training roles, by which policies name them all and only them."""
    return f"/{stack}/trainers/"


def _unless_there(iam: Any, create: Any, **arguments: Any) -> None:
    try:
        create(**arguments)
    except iam.exceptions.EntityAlreadyExistsException:
        return


def _policy(project: Project, partition: str) -> dict[str, Any]:
    """What one project's trainer may do.

    DynamoDB can narrow by partition key only: the user's partition holds the records of all their
    projects, so a trainer may read them and change none.
    """
    current, prefix = settings(), ProjectKeys(project).prefix
    bucket = f"arn:{partition}:s3:::{current.bucket}"
    account = current.trainer_boundary_arn.split(":")[4]
    table = f"arn:{partition}:dynamodb:{current.region}:{account}:table/{current.table}"
    statements = [
        _allow(
            ["s3:DeleteObject", "s3:GetObject", "s3:PutObject", "s3:PutObjectTagging"],
            [f"{bucket}/{prefix}*"],
        ),
        _allow(["s3:GetObject"], [f"{bucket}/weights/*"]),
        _allow(
            ["s3:ListBucket"],
            [bucket],
            {"StringLike": {"s3:prefix": [f"{prefix}*", "weights/*"]}},
        ),
        _allow(
            ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"],
            [table],
            _keys(f"PROJECT#{project.slug}"),
        ),
        _allow(["dynamodb:GetItem"], [table], _keys(f"USER#{project.user}")),
    ]
    if current.code_bucket:
        code = f"arn:{partition}:s3:::{current.code_bucket}/trainer/*"
        statements.append(_allow(["s3:GetObject"], [code]))
    if current.trainer_secret_arn:
        statements.append(_allow(["secretsmanager:GetSecretValue"], [current.trainer_secret_arn]))
    return {"Version": "2012-10-17", "Statement": statements}


def _allow(
    actions: list[str], resources: list[str], condition: dict[str, Any] | None = None
) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return statement | ({"Condition": condition} if condition else {})


def _keys(partition_key: str) -> dict[str, Any]:
    """`ForAllValues` also holds for a request without keys, such as a scan, hence `Null`."""
    return {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [partition_key]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }


def _partition(arn: str) -> str:
    return arn.split(":")[1]
