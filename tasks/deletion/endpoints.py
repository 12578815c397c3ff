"""The functions that answer for a project, what they wrote, and the images they ran."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from contracts.errors import ExemplarError
from contracts.identity import Project
from tasks import clients, functions
from tasks.deletion.tally import Batch, Deletion, in_batches
from tasks.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient


def find_functions(deletion: Deletion) -> Iterator[Batch]:
    """Each with its versions, aliases and URLs."""
    client = clients.functions()
    for name in _names(deletion.project):
        try:
            client.get_function_configuration(FunctionName=name)
        except client.exceptions.ResourceNotFoundException:
            continue
        aliases = _aliases(client, name)
        yield Batch(
            (name,),
            {
                "functions": 1,
                "function_versions": len(functions.versions(name)),
                "aliases": len(aliases),
                "function_urls": len([one for one in aliases if _has_url(client, name, one)]),
            },
        )


def remove_functions(_deletion: Deletion, ids: Sequence[str]) -> None:
    """Addresses first, so that nobody reaches what is half gone."""
    client = clients.functions()
    for name in ids:
        try:
            for alias in _aliases(client, name):
                if _has_url(client, name, alias):
                    client.delete_function_url_config(FunctionName=name, Qualifier=alias)
                client.delete_alias(FunctionName=name, Name=alias)
            client.delete_function(FunctionName=name)
        except client.exceptions.ResourceNotFoundException:
            continue


def find_logs(deletion: Deletion) -> Iterator[Batch]:
    """Log groups, which Lambda has made for the functions."""
    client = _logs()
    for name in _names(deletion.project):
        group = f"/aws/lambda/{name}"
        try:
            client.describe_log_streams(logGroupName=group, limit=1)
        except client.exceptions.ResourceNotFoundException:
            continue
        yield Batch((group,), {"log_groups": 1})


def remove_logs(_deletion: Deletion, ids: Sequence[str]) -> None:
    """What is gone already is no error."""
    client = _logs()
    for group in ids:
        try:
            client.delete_log_group(logGroupName=group)
        except client.exceptions.ResourceNotFoundException:
            continue


def find_images(deletion: Deletion) -> Iterator[Batch]:
    """Images of large models, by their tags; a user and a project hold no dot."""
    repository = settings().image_repository
    if not repository:
        return iter(())
    pages = (
        clients.images()
        .get_paginator("list_images")
        .paginate(repositoryName=repository, filter={"tagStatus": "TAGGED"})
    )
    tags = (image.get("imageTag", "") for page in pages for image in page["imageIds"])
    own = f"{deletion.project.slug}."
    return in_batches((tag, {"images": 1}) for tag in tags if tag.startswith(own))


def remove_images(_deletion: Deletion, ids: Sequence[str]) -> None:
    """Raises `ExemplarError` when one stays."""
    for start in range(0, len(ids), 100):  # as many as one call takes
        answer = clients.images().batch_delete_image(
            repositoryName=settings().image_repository,
            imageIds=[{"imageTag": tag} for tag in ids[start : start + 100]],
        )
        kept = [one for one in answer.get("failures", []) if one["failureCode"] != "ImageNotFound"]
        if kept:
            raise ExemplarError(
                f"{len(kept)} images could not be deleted: {kept[0].get('failureReason', '')}",
                fix="see the repository's policy, then delete the project again",
            )


def _logs() -> "CloudWatchLogsClient":
    return clients.session().client("logs")


def _names(project: Project) -> tuple[str, str]:
    stack = settings().stack
    return project.function_name(stack), project.image_function_name(stack)


def _aliases(client: "LambdaClient", name: str) -> list[str]:
    pages = client.get_paginator("list_aliases").paginate(FunctionName=name)
    return [alias["Name"] for page in pages for alias in page["Aliases"]]


def _has_url(client: "LambdaClient", name: str, alias: str) -> bool:
    try:
        client.get_function_url_config(FunctionName=name, Qualifier=alias)
    except client.exceptions.ResourceNotFoundException:
        return False
    return True
