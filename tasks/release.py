"""Putting a bundle behind its endpoint: function, version, smoke test, alias `live`."""

import base64
import json
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from prefect import task
from prefect.logging import get_run_logger

from contracts.errors import Unavailable
from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.limits import MIB
from contracts.manifest import Split
from lambdas.forward import TARGET, WAIT
from lambdas.rollback import LIVE
from serving.readers import Source
from tasks import bundles, clients, examples, functions, images, storage
from tasks.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

_SMOKE_EXAMPLES = 3
_SMOKE_TIMEOUT_SECONDS = 60.0
_FORWARD_MEMORY_MIB = 256
_FORWARD_MARGIN_SECONDS = 10  # for the other function's start
_LONGEST_TIMEOUT_SECONDS = 900  # Lambda's


@dataclass(frozen=True)
class Release:
    """What serves now."""

    lambda_version: str
    endpoint: str


# Retries: Lambda refuses changes while it still works on the last one, and S3 may stumble.
# Every step may be repeated; until the alias moves, the old version serves.
@task(retries=2, retry_delay_seconds=[2, 5])
def release(project: Project, model_version: str, dataset_version: str) -> Release:
    """Publish the bundle as a function version, try it, and move `live` to it.

    Raises `Unavailable` when the new version fails its smoke test; `live` is then where it was.
    """
    questions = _questions(project, dataset_version)
    version = _publish(project, model_version)
    for question in questions:
        _smoke_invoke(project, version, model_version, question)
    before = _live_version(project)
    endpoint = _point_live_at(project, version)
    try:
        _smoke_endpoint(project, endpoint, model_version, questions[0])
    except Unavailable:
        if before:
            _point_live_at(project, before)
        raise
    _prune_versions(project)
    return Release(version, endpoint)


def _publish(project: Project, model_version: str) -> str:
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
    return functions.publish(
        project.function_name(settings().stack),
        {"S3Bucket": settings().bucket, "S3Key": key},
        configuration,
        description=model_version,
    )


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


def _live_version(project: Project) -> str | None:
    client = clients.functions()
    name = project.function_name(settings().stack)
    try:
        return client.get_alias(FunctionName=name, Name=LIVE)["FunctionVersion"]
    except client.exceptions.ResourceNotFoundException:
        return None


def _point_live_at(project: Project, version: str) -> str:
    """Move the alias and return the endpoint, which stays the same over versions."""
    client = clients.functions()
    name = project.function_name(settings().stack)
    if _live_version(project) is None:
        client.create_alias(FunctionName=name, Name=LIVE, FunctionVersion=version)
    else:
        client.update_alias(FunctionName=name, Name=LIVE, FunctionVersion=version)
    try:
        url = client.get_function_url_config(FunctionName=name, Qualifier=LIVE)["FunctionUrl"]
    except client.exceptions.ResourceNotFoundException:
        url = _open_url(client, name)
    return _reachable(url)


def _open_url(client: "LambdaClient", name: str) -> str:
    """Anyone may call the URL; the handler asks for the project's key."""
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
        AuthType="NONE",
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


def _questions(project: Project, dataset_version: str) -> list[dict[str, str]]:
    """Real test examples of different classes, in the endpoint's JSON form."""
    manifest = storage.read_manifest(project, dataset_version)
    by_class = {example.class_index: example for example in manifest.select(Split.TEST)}
    chosen = list(by_class.values())[:_SMOKE_EXAMPLES]
    return [_question(source) for source in examples.sources(manifest, chosen)]


def _question(source: Source) -> dict[str, str]:
    if isinstance(source, str):
        return {"text": source}
    picture = source if isinstance(source, bytes) else source.read_bytes()
    return {"image_base64": base64.b64encode(picture).decode()}


def _smoke_invoke(
    project: Project, version: str, model_version: str, question: dict[str, str]
) -> None:
    """Call exactly the new version, past the URL; only this account can do that without a key."""
    answer = clients.functions().invoke(
        FunctionName=project.function_name(settings().stack),
        Qualifier=version,
        Payload=json.dumps(question),
    )
    payload = json.load(answer["Payload"])
    if answer.get("FunctionError") or payload.get("model_version") != model_version:
        raise Unavailable(
            f"the new version does not answer: {json.dumps(payload)[:500]}",
            fix="the old version keeps serving; look at the function's log",
        )


def _smoke_endpoint(
    project: Project, endpoint: str, model_version: str, question: dict[str, str]
) -> None:
    """One call as a consumer makes it, with a key that exists for this call only."""
    state, key = clients.state(), f"xk_smoke_{secrets.token_urlsafe(32)}"
    state.add_key(project, key)
    try:
        _call_until_right(endpoint, key, model_version, question)
    finally:
        state.remove_key(project, key)


def _call_until_right(
    endpoint: str, key: str, model_version: str, question: dict[str, str]
) -> None:
    """A moved alias may take a moment to reach every front end, so wrong answers get some time."""
    deadline = time.monotonic() + _SMOKE_TIMEOUT_SECONDS
    headers = {"x-api-key": key}
    seen = ""
    while time.monotonic() < deadline:
        try:
            answer = httpx.post(endpoint, json=question, headers=headers, timeout=30)
            seen = f"{answer.status_code} {answer.text[:300]}"
            if answer.status_code == 200 and answer.json()["model_version"] == model_version:
                return
        except httpx.HTTPError as error:
            seen = str(error)
        time.sleep(0.5)
    raise Unavailable(
        f"the endpoint does not answer with the new version: {seen}",
        fix="the old version keeps serving; look at the function's log",
    )


def _prune_versions(project: Project) -> None:
    """Delete all but the newest function versions, never the live one, and what only they used."""
    name, live = project.function_name(settings().stack), _live_version(project)
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
