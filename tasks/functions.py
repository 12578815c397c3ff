"""Lambda functions as a release needs them: put, published by version, pruned."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError
from prefect.logging import get_run_logger

from tasks import clients
from tasks.log_groups import ensure_log_group

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.type_defs import FunctionConfigurationTypeDef

_ROLE_TIMEOUT_SECONDS: Final = 60.0  # a new role is usually known within ten
_ROLE_PAUSE_SECONDS: Final = 1.0


def publish(
    name: str, code: Any, configuration: Mapping[str, Any], description: str, content: str
) -> str:
    """Create or update a function and return the version that holds exactly this.

    `code` says where it lies, `S3Bucket` and `S3Key` of a zip, or `ImageUri`; `content` names what
    lies there, such as its hash. What was published with the same content and configuration is
    found again: a repeated release must not push older versions out. Aliases stay where they are.
    """
    client, mark = clients.functions(), f"{description} {_digest(content, configuration)}"
    if found := _published(client, name, mark):
        return found
    ensure_log_group(name)
    if current := _configuration(client, name):
        if not _holds(current, configuration):
            _wait(client, name)
            _once_assumable(
                client.update_function_configuration, FunctionName=name, **configuration
            )
        _wait(client, name)
        client.update_function_code(FunctionName=name, **code)
    else:
        package_type: Any = "Image" if "ImageUri" in code else "Zip"
        _once_assumable(
            client.create_function,
            FunctionName=name,
            PackageType=package_type,
            Code=code,
            **configuration,
        )
    _wait(client, name)
    published = client.publish_version(FunctionName=name, Description=mark)
    client.get_waiter("published_version_active").wait(
        FunctionName=name, Qualifier=published["Version"], WaiterConfig=_poll()
    )
    return published["Version"]


def reserve(name: str, at_once: int) -> None:
    """Run at most so many calls of a function at once, and keep room for as many; 0: any number.

    One project's flood is then refused instead of others' calls. An account that has too little
    room left is no reason to fail.
    """
    client = clients.functions()
    if not at_once:
        client.delete_function_concurrency(FunctionName=name)
        return
    try:
        client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=at_once)
    except client.exceptions.InvalidParameterValueException as error:
        get_run_logger().warning(
            "%s shares the account's concurrency with all functions, as %d could not be reserved "
            "for it: %s; ask AWS for a higher quota, or lower EXEMPLAR_RESERVED_CONCURRENCY",
            *(name, at_once, error),
        )


def described(version: "FunctionConfigurationTypeDef") -> str:
    """What a version was published as."""
    return version.get("Description", "").partition(" ")[0]


def _digest(content: str, configuration: Mapping[str, Any]) -> str:
    whole = json.dumps([content, configuration], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def _published(client: "LambdaClient", name: str, mark: str) -> str | None:
    for version in reversed(versions(name)):
        if version.get("Description") == mark:
            number = version["Version"]
            found = client.get_function_configuration(FunctionName=name, Qualifier=number)
            return None if found.get("State") == "Failed" else number
    return None


def versions(name: str) -> list["FunctionConfigurationTypeDef"]:
    """All published versions, oldest first; none for a function that is not there."""
    found = [version for version in _listed(name) if version["Version"].isdigit()]
    return sorted(found, key=lambda version: int(version["Version"]))


def delete_version(name: str, version: str) -> bool:
    """Whether it is gone; what cannot be deleted now is left to the next release."""
    try:
        clients.functions().delete_function(FunctionName=name, Qualifier=version)
    except ClientError as error:
        get_run_logger().warning("version %s of %s was not deleted: %s", version, name, error)
        return False
    return True


def _listed(name: str) -> Iterator["FunctionConfigurationTypeDef"]:
    client = clients.functions()
    try:
        for page in client.get_paginator("list_versions_by_function").paginate(FunctionName=name):
            yield from page["Versions"]
    except client.exceptions.ResourceNotFoundException:
        return


def _once_assumable(call: Callable[..., Any], **arguments: Any) -> None:
    """IAM tells Lambda of a new role some seconds later, and until then Lambda refuses it."""
    deadline = time.monotonic() + _ROLE_TIMEOUT_SECONDS
    while True:
        try:
            call(**arguments)
        except ClientError as error:
            if "cannot be assumed by Lambda" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_ROLE_PAUSE_SECONDS)
        else:
            return


def _configuration(client: "LambdaClient", name: str) -> Mapping[str, Any] | None:
    try:
        return client.get_function_configuration(FunctionName=name)
    except client.exceptions.ResourceNotFoundException:
        return None


def _holds(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether nothing is to be changed, which would take Lambda seconds."""
    layers = [layer["Arn"] for layer in current.get("Layers", [])]
    same = dict(current) | {"Layers": layers}
    return all(same.get(name) == value for name, value in wanted.items())


def _wait(client: "LambdaClient", name: str) -> None:
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig=_poll())
    client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig=_poll())


def _poll() -> Any:
    """The waiters' default of one to five seconds would be most of a release's time."""
    return {"Delay": 0.2, "MaxAttempts": 300}
