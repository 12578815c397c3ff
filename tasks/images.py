"""A model too large for a function's zip: a container image, built by CodeBuild, in a function.

Nothing here needs a Docker engine: the build's context is a zip in the data bucket.
"""

import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from prefect.logging import get_run_logger

from contracts.archive import file_sha256, write_zip
from contracts.bundle import CARD_FILE, ModelCard
from contracts.errors import Unavailable
from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.limits import MIB
from tasks import bundles, clients, functions, storage
from tasks.inference_identity import ensure_inference_identity
from tasks.settings import settings

CONTEXT_ARCHIVE: Final = "image.zip"
_DOCKERFILE: Final = bundles.ROOT / "serving" / "Dockerfile"
_POLL_SECONDS: Final = 5.0
_BUILD_TIMEOUT_SECONDS: Final = 1_200.0
_LARGEST_MEMORY_MIB: Final = 10_240


@dataclass(frozen=True)
class Image:
    """A built image and what a function with it needs."""

    tag: str
    uri: str
    configuration: dict[str, Any]


def build(project: Project, model_version: str, bundle: Path) -> Image:
    """Have an image built that holds this bundle; what was built is not built again.

    Raises `Unavailable` when the build fails.
    """
    with tempfile.TemporaryDirectory(prefix="exemplar-image-") as scratch:
        context = Path(scratch) / CONTEXT_ARCHIVE
        write_zip(context_entries(bundle, _layer(Path(scratch))), context)
        tag = f"{project.slug}.{file_sha256(context)[:16]}"
        uri = _find(tag) or _build(project, model_version, context, tag)
    return Image(tag, uri, _configuration(project, bundle))


def publish(project: Project, image: Image) -> str:
    """Return `function:version` of a function with this image. Call it under the lease."""
    name, code = project.image_function_name(settings().stack), {"ImageUri": image.uri}
    version = functions.publish(name, code, image.configuration, image.tag, content=image.uri)
    return f"{name}:{version}"


def prune(project: Project, kept: Iterable[str]) -> None:
    """Delete versions, as `function:version`, that nothing forwards to, and their images."""
    name, used = project.image_function_name(settings().stack), set(kept)
    tags: dict[bool, set[str]] = {True: set(), False: set()}
    for version in functions.versions(name):
        is_kept = f"{name}:{version['Version']}" in used
        is_kept = is_kept or not functions.delete_version(name, version["Version"])
        tags[is_kept].add(functions.described(version))
    gone = [{"imageTag": tag} for tag in sorted(tags[False] - tags[True]) if tag]
    for start in range(0, len(gone), 100):  # as many as one call takes
        clients.images().batch_delete_image(
            repositoryName=settings().image_repository,
            imageIds=gone[start : start + 100],  # type: ignore[arg-type]
        )


def context_entries(
    bundle: Path, libraries: Iterable[tuple[str, bytes | Path]]
) -> Iterator[tuple[str, bytes | Path]]:
    """All files of the build, by their names in its context."""
    yield "Dockerfile", _DOCKERFILE
    yield from ((f"libraries/{name}", content) for name, content in libraries)
    yield from ((f"code/{name}", content) for name, content in bundles.serving_code())
    card = ModelCard.from_json((bundle / CARD_FILE).read_bytes())
    yield from ((f"bundle/{name}", bundle / name) for name in card.files)


def layer_files(layer: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """What a layer's zip would put on a function's path, unpacked into `folder`."""
    with zipfile.ZipFile(layer) as archive:
        archive.extractall(folder)
    root = folder / "python"
    for path in sorted(root.rglob("*")):
        if path.is_file():
            yield path.relative_to(root).as_posix(), path


def _layer(scratch: Path) -> Iterator[tuple[str, Path]]:
    """The libraries that zips are served with, so that both kinds answer alike."""
    arn = settings().inference_layer_arn
    content = clients.functions().get_layer_version_by_arn(Arn=arn)["Content"]
    archive = scratch / "layer.zip"
    with (
        httpx.stream("GET", content["Location"], follow_redirects=True, timeout=60) as answer,
        archive.open("wb") as file,
    ):
        answer.raise_for_status()
        for part in answer.iter_bytes():
            file.write(part)
    return layer_files(archive, scratch / "layer")


def _build(project: Project, model_version: str, context: Path, tag: str) -> str:
    key = ProjectKeys(project).bundle(model_version, CONTEXT_ARCHIVE)
    storage.put_file(key, context)
    get_run_logger().info("building the image %s of %.0f MiB", tag, _mib(context))
    started = clients.builds().start_build(
        projectName=settings().image_builder,
        idempotencyToken=tag[-64:],
        sourceTypeOverride="S3",
        sourceLocationOverride=f"{settings().bucket}/{key}",
        environmentVariablesOverride=[
            {"name": "TAG", "value": tag, "type": "PLAINTEXT"},
            {"name": "BASE", "value": _base(), "type": "PLAINTEXT"},
        ],
    )
    build = _ended(started["build"]["id"])
    # A build that was started twice fails the second time: tags cannot be moved.
    uri = _find(tag)
    if uri is None:
        raise Unavailable(
            f"the container image was not built: {_why(build)}",
            fix="the old version keeps serving; look at the build's log, then train again",
        )
    storage.delete(key)
    return uri


def _ended(build_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + _BUILD_TIMEOUT_SECONDS
    while True:
        (build,) = clients.builds().batch_get_builds(ids=[build_id])["builds"]
        if build["buildStatus"] != "IN_PROGRESS" or time.monotonic() > deadline:
            return dict(build)
        time.sleep(_POLL_SECONDS)


def _why(build: dict[str, Any]) -> str:
    said = [
        f"{phase['phaseType']}: {context.get('message') or context.get('statusCode', '')}"
        for phase in build.get("phases", [])
        if phase.get("phaseStatus") not in {"SUCCEEDED", None}
        for context in phase.get("contexts", [{}])
    ]
    link = build.get("logs", {}).get("deepLink", "")
    return " ".join([f"{build['buildStatus']}.", *said, link]).strip()[:1_000]


def _find(tag: str) -> str | None:
    """The image by its digest, which unlike a tag can name no other one."""
    client, repository = clients.images(), settings().image_repository
    try:
        found = client.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
    except client.exceptions.ImageNotFoundException:
        return None
    if not found["imageDetails"]:
        return None
    (described,) = client.describe_repositories(repositoryNames=[repository])["repositories"]
    return f"{described['repositoryUri']}@{found['imageDetails'][0]['imageDigest']}"


def _configuration(project: Project, bundle: Path) -> dict[str, Any]:
    """As a zip's, with memory for the graph, the session made of it and one batch."""
    size = bundles.size_bytes(bundle) / MIB
    memory = max(settings().function_memory_mib, round(3 * size) + 512)
    return bundles.shared_configuration(project) | {
        "Role": ensure_inference_identity(project),
        "MemorySize": min(memory, _LARGEST_MEMORY_MIB),
        "Timeout": settings().function_timeout_seconds,
    }


def _base() -> str:
    return f"public.ecr.aws/lambda/python:{settings().runtime.removeprefix('python')}"


def _mib(path: Path) -> float:
    return path.stat().st_size / MIB
