"""A project's objects with all their versions, and uploads that were never finished."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from contracts.errors import ExemplarError
from contracts.keys import ProjectKeys
from tasks import clients
from tasks.deletion.tally import Batch, Deletion, in_batches
from tasks.settings import settings

# Folders below a project's prefix, as the receipt calls them.
_FOLDERS: Final = {
    "objects": "examples",
    "inbox": "upload_lists",
    "datasets": "dataset_files",
    "features": "features",
    "checkpoints": "checkpoints",
    "bundles": "model_files",
    "feedback": "feedback",
    "requests": "stored_requests",
}


def find_objects(deletion: Deletion) -> Iterator[Batch]:
    """Every version of every object below the project's prefix, always the first that are left."""
    yield from _left(ProjectKeys(deletion.project).prefix)


def remove_objects(deletion: Deletion, ids: Sequence[str]) -> None:
    """Raises `ExemplarError` when S3 keeps one."""
    remove_versions(ProjectKeys(deletion.project).prefix, ids)


def purge(prefix: str) -> None:
    """Remove every version of everything below a prefix."""
    for batch in _left(prefix):
        remove_versions(prefix, batch.ids)


def remove_versions(prefix: str, ids: Sequence[str]) -> None:
    """Remove versions of objects, as `VERSION KEY` with keys below the prefix."""
    named = [one.split(" ", 1) for one in ids]
    answer = clients.s3().delete_objects(
        Bucket=settings().bucket,
        Delete={
            "Objects": [{"Key": prefix + key, "VersionId": version} for version, key in named],
            "Quiet": True,
        },
    )
    errors = [e for e in answer.get("Errors", []) if e.get("Code") != "NoSuchVersion"]
    if errors:
        raise ExemplarError(
            f"{len(errors)} objects could not be deleted, such as {errors[0].get('Key', '')!r}: "
            f"{errors[0].get('Message', errors[0].get('Code'))}",
            fix="see whether a policy or a lock protects them, then delete the project again",
        )


def find_uploads(deletion: Deletion) -> Iterator[Batch]:
    """Multipart uploads that were begun and not completed: S3 bills them and lists them apart."""
    prefix = ProjectKeys(deletion.project).prefix
    pages = (
        clients.s3()
        .get_paginator("list_multipart_uploads")
        .paginate(Bucket=settings().bucket, Prefix=prefix)
    )
    return in_batches(
        (f"{one['UploadId']} {one['Key'].removeprefix(prefix)}", {"unfinished_uploads": 1})
        for page in pages
        for one in page.get("Uploads", [])
    )


def remove_uploads(deletion: Deletion, ids: Sequence[str]) -> None:
    """What is gone already is no error."""
    client, prefix = clients.s3(), ProjectKeys(deletion.project).prefix
    for one in ids:
        upload, key = one.split(" ", 1)
        try:
            client.abort_multipart_upload(
                Bucket=settings().bucket, Key=prefix + key, UploadId=upload
            )
        except client.exceptions.NoSuchUpload:
            continue


def _left(prefix: str) -> Iterator[Batch]:
    """In batches that whoever asks removes before asking for the next.

    A listing that went on from a marker would name what lies at a page's end twice where a store is
    not exact about it, and the receipt would count it twice.
    """
    while found := dict(_first_versions(prefix)):
        yield from in_batches(found.items())


def _first_versions(prefix: str) -> Iterator[tuple[str, dict[str, int]]]:
    """In a bucket without versions, each object has the one that is called null."""
    page = clients.s3().list_object_versions(Bucket=settings().bucket, Prefix=prefix)
    for entry in page.get("Versions", []):
        key = entry["Key"].removeprefix(prefix)
        yield f"{entry['VersionId']} {key}", _amounts(key, entry)
    for marker in page.get("DeleteMarkers", []):
        key = marker["Key"].removeprefix(prefix)
        yield f"{marker['VersionId']} {key}", {"delete_markers": 1}


def _amounts(key: str, entry: Any) -> dict[str, int]:
    if not entry.get("IsLatest", True):
        return {"old_versions": 1, "bytes": entry["Size"]}
    folder = re.match("[^/]*", key)
    name = _FOLDERS.get(folder[0] if folder else "", "other_files")
    return {name: 1, "bytes": entry["Size"]}
