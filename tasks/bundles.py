"""Bundles between this machine and S3."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from contracts import keys
from contracts.archive import write_zip
from contracts.bundle import CARD_FILE, ModelCard
from contracts.identity import Project
from contracts.keys import ProjectKeys
from models.bundle_writer import write_bundle
from tasks import storage
from tasks.settings import settings

ROOT: Final = Path(__file__).parent.parent


def publish_bundle(
    project: Project, card: ModelCard, graph: bytes, tokenizer: bytes | None = None
) -> ModelCard:
    """Store a bundle under its version; `model.json` comes last and makes it count."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        card = write_bundle(folder, card, graph, tokenizer)
        archive = folder / keys.BUNDLE_ARCHIVE
        write_zip([(name, folder / name) for name in card.files], archive)
        project_keys = ProjectKeys(project)
        *files, last = card.files
        for name in (*files, keys.BUNDLE_ARCHIVE, last):
            storage.put_file(project_keys.bundle(card.model_version, name), folder / name)
    return card


def fetch_bundle(project: Project, model_version: str) -> Path:
    """Folder with a bundle's files, kept on this machine. Raises `NotFound`."""
    folder = settings().cache_dir / "bundles" / project.slug / model_version
    _fetch(project, model_version, folder / CARD_FILE)
    for name in ModelCard.from_json((folder / CARD_FILE).read_bytes()).files:
        _fetch(project, model_version, folder / name)
    return folder


def size_bytes(bundle: Path) -> int:
    """Of all files in a bundle's folder."""
    return sum(file.stat().st_size for file in bundle.iterdir())


def _fetch(project: Project, model_version: str, target: Path) -> None:
    if not target.exists():
        with storage.replacing(target) as partial:
            key = ProjectKeys(project).bundle(model_version, target.name)
            partial.write_bytes(storage.get(key))


def read_card(project: Project, model_version: str) -> ModelCard:
    """What a stored bundle says about itself. Raises `NotFound`."""
    return ModelCard.from_json(storage.get(ProjectKeys(project).bundle(model_version, CARD_FILE)))


@contextmanager
def function_zip(bundle: Path) -> Iterator[Path]:
    """The inference function's package: handler, serving code and the bundle itself."""
    card = ModelCard.from_json((bundle / CARD_FILE).read_bytes())
    packed = [(f"bundle/{name}", bundle / name) for name in card.files]
    with _zipped([*serving_code(), *packed]) as archive:
        yield archive


@contextmanager
def forwarder_zip() -> Iterator[Path]:
    """The package of a version that forwards to a function with a container image."""
    with _zipped(_code(("forward.py",), ("contracts",))) as archive:
        yield archive


def serving_code() -> list[tuple[str, Path]]:
    """What answers beside a bundle, by its name below the function's root."""
    return _code(("admission.py", "predict.py", "request_log.py"), ("serving", "contracts"))


def shared_configuration(project: Project) -> dict[str, Any]:
    """What every function of a project is told: who may ask how often, where requests are kept."""
    return {
        "Environment": {
            "Variables": {
                "EXEMPLAR_BUCKET": settings().bucket,
                "EXEMPLAR_TABLE": settings().table,
                "EXEMPLAR_USER": project.user,
                "EXEMPLAR_PROJECT": project.name,
                "EXEMPLAR_REQUESTS_PER_MINUTE": str(settings().requests_per_minute),
            }
        }
    }


def _code(handlers: tuple[str, ...], packages: tuple[str, ...]) -> list[tuple[str, Path]]:
    own = ("__init__.py", "function_url.py", *handlers)
    sources = [ROOT / "lambdas" / name for name in own]
    for package in packages:
        sources += sorted((ROOT / package).glob("*.py"))
    return [(source.relative_to(ROOT).as_posix(), source) for source in sources]


@contextmanager
def _zipped(entries: Iterable[tuple[str, Path]]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "function.zip"
        write_zip(entries, target)
        yield target
