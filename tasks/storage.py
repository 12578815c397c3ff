"""Objects in S3 and their verified copies on this machine's disk."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from contracts.errors import NotFound
from contracts.identity import Project
from contracts.keys import ProjectKeys, expiry_tag
from contracts.manifest import Flag, Manifest
from tasks import clients
from tasks.settings import settings

_CHUNK_BYTES = 2**20

OnProgress = Callable[[float], None]


def put(key: str, data: bytes, content_type: str = "application/octet-stream") -> None:
    """Write one object of the data bucket."""
    clients.s3().put_object(Bucket=settings().bucket, Key=key, Body=data, ContentType=content_type)


def put_json(key: str, document: Any) -> None:
    """Write one JSON object."""
    put(key, json.dumps(document, ensure_ascii=False, indent=1).encode(), "application/json")


def put_file(key: str, path: Path) -> None:
    """Write one object from disk, in parts when it is large."""
    tag = expiry_tag(key)
    extra = {"Tagging": tag} if tag else {}
    clients.s3().upload_file(str(path), settings().bucket, key, ExtraArgs=extra)


def get(key: str) -> bytes:
    """Read one object. Raises `NotFound`."""
    try:
        return clients.s3().get_object(Bucket=settings().bucket, Key=key)["Body"].read()
    except ClientError as error:
        if _is_missing(error, key):
            raise NotFound(f"there is no object {key}") from error
        raise


def delete(key: str) -> None:
    """Remove one object; none is no error."""
    clients.s3().delete_object(Bucket=settings().bucket, Key=key)


def exists(key: str) -> bool:
    """Whether an object is there."""
    try:
        clients.s3().head_object(Bucket=settings().bucket, Key=key)
    except ClientError as error:
        if _is_missing(error, key):
            return False
        raise
    return True


def fetch_file(key: str, target: Path) -> bool:
    """Copy an object to disk, whole or not at all; return False when it does not exist."""
    try:
        with replacing(target) as partial:
            clients.s3().download_file(settings().bucket, key, str(partial))
    except ClientError as error:
        if _is_missing(error, key):
            return False
        raise
    return True


def _is_missing(error: ClientError, key: str) -> bool:
    """To a role that may list its project's prefix only, S3 says 403 of an absent object too."""
    code = error.response["Error"]["Code"]
    if code not in {"403", "AccessDenied"}:
        return code in {"404", "NoSuchKey", "NotFound"}
    found = clients.s3().list_objects_v2(Bucket=settings().bucket, Prefix=key, MaxKeys=1)
    return key not in {entry["Key"] for entry in found.get("Contents", [])}


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A path to write to; it becomes `target` at the end, or nothing happens."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".partial-")
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def read_manifest(project: Project, version: str) -> Manifest:
    """A dataset version's manifest. Raises `NotFound`."""
    return Manifest.from_json(get(ProjectKeys(project).manifest(version)))


def write_manifest(manifest: Manifest) -> str:
    """Store a manifest under its hash and return that version."""
    data = manifest.to_json()
    version = hashlib.sha256(data).hexdigest()
    put(ProjectKeys(manifest.project).manifest(version), data, "application/json")
    return version


def local_path(project: Project, sha256: str) -> Path:
    """Where the verified copy of an example lies, once fetched.

    Copies are kept apart by project: knowing the hash of another tenant's picture must not be
    enough to have it.
    """
    return settings().cache_dir / "objects" / project.slug / sha256[:2] / sha256


def fetch_examples(
    project: Project, sha256s: Iterable[str], on_progress: OnProgress = lambda _: None
) -> dict[str, Flag]:
    """Bring examples to `local_path`, checking each against its hash.

    Returns those that could not be had: `MISSING`, or `WRONG_CONTENT`. An object with wrong
    content is removed, since its name would keep the right one from being uploaded.
    """
    wanted = sorted({s for s in sha256s if not local_path(project, s).exists()})
    problems: dict[str, Flag] = {}
    with ThreadPoolExecutor(settings().transfer_threads) as pool:
        outcomes = pool.map(lambda sha: _fetch_example(project, sha), wanted)
        for done, (sha256, problem) in enumerate(zip(wanted, outcomes, strict=True), 1):
            if problem:
                problems[sha256] = problem
            if done % 64 == 0:
                on_progress(done / len(wanted))
    return problems


class _WrongContent(Exception):
    """An object that does not have the hash that it is called by."""


def _fetch_example(project: Project, sha256: str) -> Flag | None:
    key = ProjectKeys(project).object(sha256)
    try:
        _fetch_verified(key, sha256, local_path(project, sha256))
    except ClientError as error:
        if _is_missing(error, key):
            return Flag.MISSING
        raise
    except _WrongContent:
        clients.s3().delete_object(Bucket=settings().bucket, Key=key)
        return Flag.WRONG_CONTENT
    return None


def _fetch_verified(key: str, sha256: str, target: Path) -> None:
    """Straight to disk: as many tables as there are threads would not fit into memory."""
    body, digest = (
        clients.s3().get_object(Bucket=settings().bucket, Key=key)["Body"],
        hashlib.sha256(),
    )
    with replacing(target) as partial:
        with partial.open("wb") as file:
            for chunk in body.iter_chunks(_CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != sha256:
            raise _WrongContent
