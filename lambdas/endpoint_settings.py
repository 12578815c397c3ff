"""What an owner sets for a project's endpoint, brought to what is running, without a release."""

from typing import TYPE_CHECKING, Any, Final

from contracts.identity import Project
from lambdas.live_alias import LIVE
from lambdas.state import ProjectRecord, State

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

ENDPOINT_SETTINGS: Final = frozenset({"endpoint_auth", "fetch_urls", "requests_per_minute"})
_AUTH_TYPES: Final = {"key": "NONE", "iam": "AWS_IAM"}


def auth_type(record: ProjectRecord) -> Any:
    """The function URL's; with a key Lambda lets everybody through and the handler asks for it."""
    return _AUTH_TYPES[record.setting("endpoint_auth")]


def follow_record(functions: "LambdaClient", state: State, stack: str, project: Project) -> None:
    """Bring what is stored to what runs; repeating it changes nothing.

    A release does this when it has made the URL, and whoever changes the record when it is stored:
    at the same moment one of them sees what the other has done.
    """
    record = state.project(project)
    state.set_access(
        project,
        record.setting("endpoint_auth"),
        record.setting("requests_per_minute"),
        fetches_urls=record.setting("fetch_urls"),
    )
    try:
        functions.update_function_url_config(
            FunctionName=project.function_name(stack), Qualifier=LIVE, AuthType=auth_type(record)
        )
    except functions.exceptions.ResourceNotFoundException:
        return  # nothing has been released yet; what is will have it
