"""A project's inference function: its versions, their configuration, the alias and its URL."""

from typing import TYPE_CHECKING, Any

import httpx
from prefect.logging import get_run_logger

from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.limits import MIB
from lambdas.endpoint_settings import auth_type, follow_record
from lambdas.forward import TARGET, WAIT
from lambdas.live_alias import LIVE
from tasks import bundles, clients, functions, images, storage
from tasks.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

_FORWARD_MEMORY_MIB = 256
_FORWARD_MARGIN_SECONDS = 10  # for the other function's start
_LONGEST_TIMEOUT_SECONDS = 900  # Lambda's


def publish(project: Project, model_version: str) -> str:
    """Return the Lambda version that answers with this bundle; the same one gives the same."""
    bundle = bundles.fetch_bundle(project, model_version)
    configuration = _configuration(project)
    if bundles.size_bytes(bundle) <= settings().zip_bundle_mib * MIB:
        package = bundles.function_zip(bundle)
    else:
        configuration = _forwarding(project, images.publish(project, model_version, bundle))
        package = bundles.forwarder_zip()
    key = ProjectKeys(project).bundle(model_version, "function.zip")
    with package as archive:
        storage.put_file(key, archive)
    name = project.function_name(settings().stack)
    version = functions.publish(
        name,
        {"S3Bucket": settings().bucket, "S3Key": key},
        configuration,
        description=model_version,
    )
    functions.reserve(name, settings().reserved_concurrency)
    return version


def _configuration(project: Project) -> dict[str, Any]:
    current = settings()
    return bundles.shared_configuration(project) | {
        "Runtime": current.runtime,
        "Role": current.inference_role_arn,
        "Handler": "lambdas.predict.handler",
        "Layers": [current.inference_layer_arn],
        "MemorySize": current.function_memory_mib,
        "Timeout": current.function_timeout_seconds,
    }


def _forwarding(project: Project, target: str) -> dict[str, Any]:
    """Of a version that only passes on: a small one, which waits longer than the other runs."""
    wait = settings().function_timeout_seconds + _FORWARD_MARGIN_SECONDS
    return _configuration(project) | {
        "Role": settings().forward_role_arn,
        "Handler": "lambdas.forward.handler",
        "Layers": [],
        "MemorySize": _FORWARD_MEMORY_MIB,
        "Timeout": min(wait + 1, _LONGEST_TIMEOUT_SECONDS),
        "Environment": {"Variables": {TARGET: target, WAIT: str(wait)}},
    }


def live_version(project: Project) -> str | None:
    client = clients.functions()
    name = project.function_name(settings().stack)
    try:
        return client.get_alias(FunctionName=name, Name=LIVE)["FunctionVersion"]
    except client.exceptions.ResourceNotFoundException:
        return None


def point_live_at(project: Project, version: str) -> str:
    """Move the alias and return the endpoint, which stays the same over versions."""
    client = clients.functions()
    name = project.function_name(settings().stack)
    if live_version(project) is None:
        client.create_alias(FunctionName=name, Name=LIVE, FunctionVersion=version)
    else:
        client.update_alias(FunctionName=name, Name=LIVE, FunctionVersion=version)
    state = clients.state()
    try:
        url = client.get_function_url_config(FunctionName=name, Qualifier=LIVE)["FunctionUrl"]
    except client.exceptions.ResourceNotFoundException:
        url = _open_url(client, name, auth_type(state.project(project)))
    follow_record(client, state, settings().stack, project)
    return _reachable(url)


def _open_url(client: "LambdaClient", name: str, auth: Any) -> str:
    """Anyone may call a URL without signatures; the handler asks for the project's key."""
    for statement, action in (
        ("url", "lambda:InvokeFunctionUrl"),
        ("call", "lambda:InvokeFunction"),
    ):
        extra: dict[str, Any] = (
            {"FunctionUrlAuthType": "NONE"}
            if statement == "url"
            else {"InvokedViaFunctionUrl": True}
        )
        try:
            client.add_permission(
                FunctionName=name,
                Qualifier=LIVE,
                StatementId=f"public-{statement}",
                Action=action,
                Principal="*",
                **extra,
            )
        except client.exceptions.ResourceConflictException:
            get_run_logger().debug("permission public-%s is there already", statement)
    answer = client.create_function_url_config(
        FunctionName=name,
        Qualifier=LIVE,
        AuthType=auth,
        Cors={
            "AllowOrigins": ["*"],
            "AllowMethods": ["POST", "GET"],
            "AllowHeaders": ["content-type", "x-api-key", "authorization"],
            "MaxAge": 3600,
        },
    )
    return answer["FunctionUrl"]


def _reachable(url: str) -> str:
    """The URL as AWS names it, or by path where its host name does not resolve."""
    if not settings().function_url_base:
        return url
    url_id = httpx.URL(url).host.split(".")[0]
    return f"{settings().function_url_base}/{url_id}/"


def prune_versions(project: Project) -> None:
    """Delete all but the newest function versions, never the live one, and what only they used."""
    name, live = project.function_name(settings().stack), live_version(project)
    versions = functions.versions(name)
    old = versions[: -settings().kept_versions]
    kept = versions[-settings().kept_versions :]
    for version in old:
        number = version["Version"]
        if number == live or not functions.delete_version(name, number):
            kept.append(version)
    if settings().image_builder:
        variables = [version.get("Environment", {}).get("Variables", {}) for version in kept]
        images.prune(project, [found[TARGET] for found in variables if TARGET in found])
