"""The role of one project's training machines: they reach that project's data and no other's."""

from typing import Any

from contracts.identity import Project
from contracts.keys import ProjectKeys
from tasks import clients, project_roles
from tasks.project_roles import Places, ProjectRole, Statement, allow, only_partition
from tasks.settings import settings


def ensure_training_identity(project: Project) -> str:
    """Return the name of the project's instance profile, made or completed as needed.

    Empty where no boundary is configured, as on a laptop. Every step may be killed and repeated.
    IAM takes some seconds to tell EC2 of a new profile: RunInstances may refuse it until then.
    """
    current = settings()
    if not current.trainer_boundary_arn:
        return ""
    iam, name = clients.session().client("iam"), project.trainer_role_name(current.stack)
    role = ProjectRole(
        project=project,
        name=name,
        path=role_path(current.stack),
        service="ec2.amazonaws.com",
        boundary_arn=current.trainer_boundary_arn,
        statements=training_statements(project, Places.at_hand(current.trainer_boundary_arn)),
    )
    project_roles.ensure_role(iam, role)
    project_roles.unless_there(
        iam, iam.create_instance_profile, InstanceProfileName=name, Path=role.path
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
    project_roles.unless_absent(
        iam, iam.remove_role_from_instance_profile, InstanceProfileName=name, RoleName=name
    )
    project_roles.unless_absent(iam, iam.delete_instance_profile, InstanceProfileName=name)
    project_roles.remove_role(iam, name)


def role_path(stack: str) -> str:
    """IAM path of a stack's training roles, by which policies name them all and only them."""
    return f"/{stack}/trainers/"


def training_statements(project: Project, places: Places) -> tuple[Statement, ...]:
    """What one project's trainer may do.

    DynamoDB can narrow by partition key only: the user's partition holds the records of all their
    projects, so a trainer may read them and change none.
    """
    prefix = ProjectKeys(project).prefix
    statements = [
        allow(
            ["s3:DeleteObject", "s3:GetObject", "s3:PutObject", "s3:PutObjectTagging"],
            [f"{places.bucket}/{prefix}*"],
        ),
        allow(["s3:GetObject"], [f"{places.bucket}/weights/*"]),
        allow(
            ["s3:ListBucket"],
            [places.bucket],
            {"StringLike": {"s3:prefix": [f"{prefix}*", "weights/*"]}},
        ),
        allow(
            ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"],
            [places.table],
            only_partition(f"PROJECT#{project.slug}"),
        ),
        allow(["dynamodb:GetItem"], [places.table], only_partition(f"USER#{project.user}")),
    ]
    if places.code_bucket:
        statements.append(allow(["s3:GetObject"], [f"{places.code_bucket}/trainer/*"]))
    if places.trainer_credentials:
        statements.append(allow(["secretsmanager:GetSecretValue"], [places.trainer_credentials]))
    return tuple(statements)
