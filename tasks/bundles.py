"""Bundles between this machine and S3."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contracts import keys
from contracts.archive import write_zip
from contracts.bundle import CARD_FILE, MODEL_FILE, ModelCard
from contracts.identity import Project
from contracts.keys import ProjectKeys
from models.bundle_writer import write_bundle
from tasks import storage
from tasks.settings import settings


def publish_bundle(project: Project, card: ModelCard, graph: bytes) -> ModelCard:
    """Store a bundle under its version; `model.json` comes last and makes it count."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        card = write_bundle(folder, card, graph)
        archive = folder / keys.BUNDLE_ARCHIVE
        write_zip([(name, folder / name) for name in (CARD_FILE, MODEL_FILE)], archive)
        project_keys = ProjectKeys(project)
        for name in (MODEL_FILE, keys.BUNDLE_ARCHIVE, CARD_FILE):
            storage.put_file(project_keys.bundle(card.model_version, name), folder / name)
    return card


def fetch_bundle(project: Project, model_version: str) -> Path:
    """Folder with a bundle's files, kept on this machine. Raises `NotFound`."""
    folder = settings().cache_dir / "bundles" / project.slug / model_version
    for name in (MODEL_FILE, CARD_FILE):
        if not (folder / name).exists():
            with storage.replacing(folder / name) as partial:
                partial.write_bytes(storage.get(ProjectKeys(project).bundle(model_version, name)))
    return folder


def read_card(project: Project, model_version: str) -> ModelCard:
    """What a stored bundle says about itself. Raises `NotFound`."""
    return ModelCard.from_json(storage.get(ProjectKeys(project).bundle(model_version, CARD_FILE)))


@contextmanager
def function_zip(bundle: Path) -> Iterator[Path]:
    """The inference function's package: handler, serving code and the bundle itself."""
    root = Path(__file__).parent.parent
    sources = [root / "lambdas" / "__init__.py", root / "lambdas" / "predict.py"]
    sources += sorted((root / "serving").glob("*.py")) + sorted((root / "contracts").glob("*.py"))
    entries: list[tuple[str, bytes | Path]] = [
        (source.relative_to(root).as_posix(), source) for source in sources
    ]
    entries += [(f"bundle/{name}", bundle / name) for name in (MODEL_FILE, CARD_FILE)]
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "function.zip"
        write_zip(entries, target)
        yield target
