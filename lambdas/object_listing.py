"""Every example that a project has stored, found by listing instead of asking for each."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from contracts.identity import Project
from contracts.keys import ProjectKeys

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef


def stored_objects(
    s3: "S3Client", bucket: str, project: Project
) -> "Iterator[tuple[str, ObjectTypeDef]]":
    """The SHA-256 of each with what a listing says of it.

    Names are hashes, so sixteen listings at once have equal parts of a large project.
    """
    prefix = ProjectKeys(project).object("0" * 64)[:-64]
    page = s3.list_objects_v2(Bucket=bucket, Prefix=prefix)
    if not page["IsTruncated"]:
        yield from _named(prefix, page.get("Contents", []))
        return
    with ThreadPoolExecutor(16) as pool:
        parts = pool.map(lambda digit: _pages(s3, bucket, prefix + digit), "0123456789abcdef")
        for part in parts:
            yield from _named(prefix, part)


def _pages(s3: "S3Client", bucket: str, prefix: str) -> "list[ObjectTypeDef]":
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [entry for page in pages for entry in page.get("Contents", [])]


def _named(prefix: str, entries: "list[ObjectTypeDef]") -> "Iterator[tuple[str, ObjectTypeDef]]":
    return ((entry["Key"].removeprefix(prefix), entry) for entry in entries)
