"""A project's inference function: its versions, their configuration, the alias and its URL."""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx
from prefect.logging import get_run_logger

from contracts.archive import file_sha256
from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.limits import MIB
from lambdas import live_alias
from lambdas.endpoint_settings import auth_type, follow_record
from lambdas.forward import TARGET, WAIT
from lambdas.live_alias import LIVE, Alias
from tasks import bundles, clients, functions, images, storage
from tasks.inference_identity import ensure_forward_identity, ensure_inference_identity
from tasks.progress import Progress
from tasks.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.type_defs import FunctionConfigurationTypeDef

_FORWARD_MEMORY_MIB = 256
_FORWARD_MARGIN_SECONDS = 10  # for the other function's start
_LONGEST_TIMEOUT_SECONDS = 900  # Lambda's
_NEW_SECONDS = 7_200.0  # longer than any promotion takes


@dataclass(frozen=True)
class Package:
    """What a version is published from, stored and built already."""

    model_version: str
    key: str
    sha256: str
    image: images.Image | None = None  # of a model that the zip only forwards to


def prepare(project: Project, model_version: str, progress: Progress) -> Package:
    """Store the zip, and build the image of a large model: what takes long and changes nothing."""
    bundle = bundles.fetch_bundle(project, model_version)
    image = None
    if bundles.size_bytes(bundle) <= settings().zip_bundle_mib * MIB:
        zipped = bundles.function_zip(bundle)
    else:
        progress.record(message="packing a large model, which takes some minutes")
        image = images.build(project, model_version, bundle)
        zipped = bundles.forwarder_zip()
    key = ProjectKeys(project).bundle(model_version, "function.zip")
    with zipped as archive:
        storage.put_file(key, archive)
        return Package(model_version, key, file_sha256(archive), image)


def publish(project: Project, package: Package) -> str:
    """Return the Lambda version that answers with this package; the same one gives the same.

    Call it under the project's lease: two at once would publish a mixture.
    """
    if package.image:
        configuration = _forwarding(project, images.publish(project, package.image))
    else:
        configuration = _configuration(project)
    name = project.function_name(settings().stack)
    version = functions.publish(
        name,
        {"S3Bucket": settings().bucket, "S3Key": package.key},
        configuration,
        description=package.model_version,
        content=package.sha256,
    )
    functions.reserve(name, settings().reserved_concurrency)
    return version


def _configuration(project: Project) -> dict[str, Any]:
    current = settings()
    return bundles.shared_configuration(project) | {
        "Runtime": current.runtime,
        "Role": ensure_inference_identity(project),
        "Handler": "lambdas.predict.handler",
        "Layers": [current.inference_layer_arn],
        "MemorySize": current.function_memory_mib,
        "Timeout": current.function_timeout_seconds,
    }


def _forwarding(project: Project, target: str) -> dict[str, Any]:
    """Of a version that only passes on: a small one, which waits longer than the other runs."""
    wait = settings().function_timeout_seconds + _FORWARD_MARGIN_SECONDS
    return _configuration(project) | {
        "Role": ensure_forward_identity(project),
        "Handler": "lambdas.forward.handler",
        "Layers": [],
        "MemorySize": _FORWARD_MEMORY_MIB,
        "Timeout": min(wait + 1, _LONGEST_TIMEOUT_SECONDS),
        "Environment": {"Variables": {TARGET: target, WAIT: str(wait)}},
    }


def serve(project: Project, version: str, seen: Alias | None) -> str:
    """Move the alias and return the endpoint, which stays the same over versions."""
    client, name = clients.functions(), project.function_name(settings().stack)
    if seen is None:
        client.create_alias(FunctionName=name, Name=LIVE, FunctionVersion=version)
    elif seen.version != version or seen.shares:
        live_alias.point(client, name, version, seen=seen)
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


def prune(project: Project) -> None:
    """Delete function versions that nobody will go back to, and what only they used.

    Kept are the newest of those that were promoted, whatever is behind the alias, and what is so
    new that it may be on its way there. Call it under the project's lease.
    """
    name = project.function_name(settings().stack)
    alias = live_alias.read(clients.functions(), name)
    promoted = [version.lambda_version for version in clients.state().versions(project)]
    needed = {*promoted[: settings().kept_versions], *(alias.versions if alias else ())}
    kept = []
    for version in functions.versions(name):
        number = version["Version"]
        is_needed = number in needed or (number not in promoted and _is_new(version))
        if is_needed or not functions.delete_version(name, number):
            kept.append(version)
    if settings().image_builder:
        variables = [version.get("Environment", {}).get("Variables", {}) for version in kept]
        images.prune(project, [found[TARGET] for found in variables if TARGET in found])


def _is_new(version: "FunctionConfigurationTypeDef") -> bool:
    changed = datetime.fromisoformat(version["LastModified"])
    return time.time() - changed.timestamp() < _NEW_SECONDS
