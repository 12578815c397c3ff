"""Examples as whatever reads them takes them: files of pictures, or texts."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from contracts.errors import NotFound
from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.manifest import Example, Kind, Manifest
from models.text_store import read_texts, write_texts
from serving.readers import Source
from tasks import storage
from tasks.settings import settings


def sources(manifest: Manifest, examples: Sequence[Example]) -> list[Source]:
    """Bring examples to this machine; return them in the order given."""
    if manifest.kind is Kind.TEXT:
        found = texts(manifest)
        return [found[example.sha256] for example in examples]
    storage.fetch_examples(manifest.project, {example.sha256 for example in examples})
    return [storage.local_path(manifest.project, example.sha256) for example in examples]


def texts(manifest: Manifest) -> Mapping[str, str]:
    """All texts of a data set by content hash. Raises `NotFound`."""
    return _texts(manifest.project, manifest.frozen_version)


def store_texts(project: Project, frozen_version: str, found: Mapping[str, str]) -> None:
    """Keep the texts that were read out of an upload's tables."""
    path = _path(project, frozen_version)
    with storage.replacing(path) as partial:
        write_texts(partial, found)
    storage.put_file(ProjectKeys(project).texts(frozen_version), path)


@lru_cache(maxsize=1)
def _texts(project: Project, frozen_version: str) -> Mapping[str, str]:
    path = _path(project, frozen_version)
    if not path.exists() and not storage.fetch_file(
        ProjectKeys(project).texts(frozen_version), path
    ):
        raise NotFound(f"the texts of data set {frozen_version[:12]} are not stored")
    return read_texts(path)


def _path(project: Project, frozen_version: str) -> Path:
    return settings().cache_dir / "texts" / project.slug / f"{frozen_version}.parquet"
