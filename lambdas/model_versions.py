"""The model versions of a project, as its bundles' folders in storage say."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.bundle import CARD_FILE
from contracts.errors import NotFound
from contracts.identity import Project
from contracts.keys import TRAINING_RECORD, ProjectKeys, evaluated_dataset

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A stored bundle; times are seconds since the epoch."""

    name: str
    made_at: float
    evaluations: tuple[tuple[str, float], ...]  # dataset version and when, newest first
    has_training_record: bool


def model_versions(s3: "S3Client", bucket: str, project: Project) -> list[ModelVersion]:
    """All complete bundles, newest first."""
    prefix = ProjectKeys(project).bundles
    folders: dict[str, dict[str, float]] = {}
    for key, at in _listed(s3, bucket, prefix):
        name, _, filename = key.removeprefix(prefix).partition("/")
        folders.setdefault(name, {})[filename] = at
    found = [_version(name, files) for name, files in folders.items() if CARD_FILE in files]
    return sorted(found, key=lambda version: version.made_at, reverse=True)


def model_version(s3: "S3Client", bucket: str, project: Project, name: str) -> ModelVersion:
    """One bundle. Raises `NotFound`."""
    prefix = ProjectKeys(project).bundle_prefix(name)
    files = {key.removeprefix(prefix): at for key, at in _listed(s3, bucket, prefix)}
    if CARD_FILE not in files:
        raise NotFound(
            f"there is no model version {name!r}", fix="look at the project's list of models"
        )
    return _version(name, files)


def _listed(s3: "S3Client", bucket: str, prefix: str) -> Iterator[tuple[str, float]]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for entry in page.get("Contents", []):
            yield entry["Key"], entry["LastModified"].timestamp()


def _version(name: str, files: dict[str, float]) -> ModelVersion:
    scored = [
        (dataset, at) for filename, at in files.items() if (dataset := evaluated_dataset(filename))
    ]
    newest_first = tuple(sorted(scored, key=lambda entry: entry[1], reverse=True))
    return ModelVersion(name, files[CARD_FILE], newest_first, TRAINING_RECORD in files)
