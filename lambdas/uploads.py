"""Announcing files and handing out presigned POSTs for those that are not stored yet."""

import base64
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from contracts import strict_json
from contracts.errors import Unavailable
from contracts.identity import Project
from contracts.keys import ProjectKeys, expiry_tag
from contracts.limits import Limits
from contracts.requests import (
    AnnouncedFile,
    UploadRequest,
    batch_digest,
    encode_batch,
    parse_files,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import TaggingTypeDef

POST_SECONDS = 3_600  # that a presigned POST is good for
_READINGS = 5  # of a list that changes meanwhile
_HEAD_UP_TO = 32  # below this, asking for each key beats listing

Take = Callable[[str, int], None]


def announce(
    s3: "S3Client",
    bucket: str,
    project: Project,
    request: UploadRequest,
    take: Take = lambda _batch, _size_bytes: None,
) -> dict[str, Any]:
    """Store the batch's file list and return presigned POSTs for the contents still missing.

    `take` hears before how many bytes these have, and raises where they are too many.
    """
    keys, batch = ProjectKeys(project), batch_digest(request.files)
    wanted = {file.sha256: file for file in request.files}
    stored = existing(s3, bucket, keys, wanted)
    missing = [file for sha256, file in wanted.items() if sha256 not in stored]
    if missing:
        take(batch, sum(file.size_bytes for file in missing))
    put_part(s3, bucket, project, request.upload, request.files)
    posts = [presigned_post(s3, bucket, keys, file) for file in missing]
    return {"upload": request.upload, "files": len(wanted), "stored": len(stored), "posts": posts}


def put_part(
    s3: "S3Client", bucket: str, project: Project, upload: str, files: Iterable[AnnouncedFile]
) -> str:
    """Write a part of an upload's list, named by its content; return its key."""
    files = tuple(files)
    key = ProjectKeys(project).inbox_part(upload, batch_digest(files))
    s3.put_object(
        Bucket=bucket,
        Key=key,
        Tagging=expiry_tag(key),
        Body=encode_batch(files),
        ContentType="application/json",
    )
    return key


def existing(s3: "S3Client", bucket: str, keys: ProjectKeys, wanted: Iterable[str]) -> set[str]:
    """Which of these contents are stored already.

    Clients announce sorted by hash, so the keys between a batch's first and last hash are few
    more than the batch itself and one or two listing pages answer for all.
    """
    ordered = sorted(wanted)
    if len(ordered) <= _HEAD_UP_TO:
        with ThreadPoolExecutor(8) as pool:
            found = pool.map(lambda sha: _exists(s3, bucket, keys.object(sha)), ordered)
            return {sha for sha, is_stored in zip(ordered, found, strict=True) if is_stored}
    return set(ordered) & set(_stored_between(s3, bucket, keys, ordered[0], ordered[-1]))


def _stored_between(
    s3: "S3Client", bucket: str, keys: ProjectKeys, first: str, last: str
) -> Iterator[str]:
    prefix = keys.object(first)[: -len(first)]
    # StartAfter excludes the key itself: begin just below it.
    start_after = prefix + first[:-1]
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=prefix, StartAfter=start_after
    )
    for page in pages:
        for entry in page.get("Contents", []):
            sha256 = entry["Key"].removeprefix(prefix)
            if sha256 > last:
                return
            yield sha256


def _exists(s3: "S3Client", bucket: str, key: str) -> bool:
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return False
        raise
    return True


def presigned_post(
    s3: "S3Client", bucket: str, keys: ProjectKeys, file: AnnouncedFile
) -> dict[str, Any]:
    """Where one file is sent; key, size and type are conditions, and S3 checks the hash."""
    fields = {
        "Content-Type": file.content_type,
        "x-amz-checksum-algorithm": "SHA256",
        "x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(file.sha256)).decode(),
    }
    conditions: list[Any] = [{name: value} for name, value in fields.items()]
    conditions.append(["content-length-range", file.size_bytes, file.size_bytes])
    post = s3.generate_presigned_post(
        bucket,
        keys.object(file.sha256),
        Fields=dict(fields),
        Conditions=conditions,
        ExpiresIn=POST_SECONDS,
    )
    return {"sha256": file.sha256, "url": post["url"], "fields": post["fields"]}


def announced_files(
    s3: "S3Client", bucket: str, project: Project, upload: str, limits: Limits
) -> list[AnnouncedFile]:
    """Every file announced under an upload, in a stable order; batches may overlap."""
    for _ in range(_READINGS):
        try:
            return listed_files(s3, bucket, parts(s3, bucket, project, upload), limits)
        except s3.exceptions.NoSuchKey:
            continue  # somebody has changed the examples, and written their list anew
    raise Unavailable(f"the list of upload {upload!r} changes all the time", fix="try again")


def listed_files(
    s3: "S3Client", bucket: str, parts: list[str], limits: Limits
) -> list[AnnouncedFile]:
    """The files in these parts of a list, in a stable order."""
    with ThreadPoolExecutor(8) as pool:
        batches = pool.map(lambda key: read_files(s3, bucket, key, limits), parts)
        files = {(f.sha256, f.class_name, f.name): f for batch in batches for f in batch}
    return [files[key] for key in sorted(files)]


def keep_announced(s3: "S3Client", bucket: str, project: Project, upload: str) -> None:
    """Let an upload's list outlast the inbox: later trainings begin with it."""
    tags: TaggingTypeDef = {"TagSet": [{"Key": "expires", "Value": "never"}]}
    with ThreadPoolExecutor(8) as pool:
        found = parts(s3, bucket, project, upload)
        list(
            pool.map(lambda key: s3.put_object_tagging(Bucket=bucket, Key=key, Tagging=tags), found)
        )


def parts(s3: "S3Client", bucket: str, project: Project, upload: str) -> list[str]:
    """The keys of an upload's list, each of one batch."""
    prefix = ProjectKeys(project).inbox_parts(upload)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def read_files(s3: "S3Client", bucket: str, key: str, limits: Limits) -> tuple[AnnouncedFile, ...]:
    """The files listed in one stored JSON document. Raises `InvalidRequest`."""
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    document = strict_json.parsed(body, fix=f"write a JSON document to {key}")
    return parse_files(document.get("files") if isinstance(document, dict) else None, limits)
