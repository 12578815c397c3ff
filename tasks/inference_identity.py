"""The roles of one project's endpoint: what a function that was broken into could still reach."""

from contracts.identity import Project
from contracts.keys import ProjectKeys
from tasks import clients, project_roles
from tasks.project_roles import Places, ProjectRole, Statement, allow, only_partition
from tasks.settings import settings

_LAMBDA = "lambda.amazonaws.com"


def ensure_inference_identity(project: Project) -> str:
    """Return the ARN of the role that answers for the project, made or completed as needed.

    It is the stack's shared one where no boundary is configured, as on a laptop. Every step may
    be killed and repeated. IAM takes some seconds to tell Lambda of a new role.
    """
    current = settings()
    if not current.inference_boundary_arn:
        return current.inference_role_arn
    name = project.inference_role_name(current.stack)
    return _ensure(project, name, inference_statements(project, current.stack, _places()))


def ensure_forward_identity(project: Project) -> str:
    """As above, of the function that only passes on to the one with the container image."""
    current = settings()
    if not current.inference_boundary_arn:
        return current.forward_role_arn
    name = project.forward_role_name(current.stack)
    return _ensure(project, name, forward_statements(project, current.stack, _places()))


def delete_inference_identity(project: Project) -> None:
    """Remove the project's roles, whose functions have to be gone; absent ones are no error."""
    for name in role_names(project):
        project_roles.remove_role(clients.session().client("iam"), name)


def role_names(project: Project) -> tuple[str, ...]:
    """All that a project may have."""
    stack = settings().stack
    return project.inference_role_name(stack), project.forward_role_name(stack)


def role_path(stack: str) -> str:
    """IAM path of a stack's inference roles, by which policies name them all and only them."""
    return f"/{stack}/inference/"


def inference_statements(project: Project, stack: str, places: Places) -> tuple[Statement, ...]:
    """What one project's function may do: log, check and count its keys, keep its requests."""
    requests = f"{places.bucket}/{ProjectKeys(project).prefix}requests/*"
    return (
        _logging(places, project.function_name(stack), project.image_function_name(stack)),
        allow(["dynamodb:GetItem"], [places.table], only_partition(f"PROJECT#{project.slug}")),
        allow(["dynamodb:UpdateItem"], [places.table], only_partition(f"RATE#{project.slug}#*")),
        allow(["s3:PutObject", "s3:PutObjectTagging"], [requests]),
    )


def forward_statements(project: Project, stack: str, places: Places) -> tuple[Statement, ...]:
    """What a function that only passes on may do; the other one checks the caller's key."""
    image = places.function(project.image_function_name(stack))
    return (
        _logging(places, project.function_name(stack)),
        allow(["lambda:InvokeFunction"], [f"{image}:*"]),  # a version, never what is newest
    )


def _logging(places: Places, *functions: str) -> Statement:
    """The groups themselves are made with the functions, so that their lines expire."""
    streams = [places.log_streams(function) for function in functions]
    return allow(["logs:CreateLogStream", "logs:PutLogEvents"], streams)


def _ensure(project: Project, name: str, statements: tuple[Statement, ...]) -> str:
    current = settings()
    role = ProjectRole(
        project=project,
        name=name,
        path=role_path(current.stack),
        service=_LAMBDA,
        boundary_arn=current.inference_boundary_arn,
        statements=statements,
    )
    return project_roles.ensure_role(clients.session().client("iam"), role)


def _places() -> Places:
    return Places.at_hand(settings().inference_boundary_arn)
