from pathlib import Path

from contracts.bundle import CARD_FILE, MODEL_FILE, ModelCard, Preprocessing
from contracts.manifest import Kind
from models.bundle_writer import write_bundle

CARD = ModelCard(Kind.IMAGE, ("a", "b"), Preprocessing(), "0" * 64, "cnn", "fast")


def test_the_card_vouches_for_the_graph(tmp_path: Path) -> None:
    written = write_bundle(tmp_path / "new" / "folder", CARD, b"graph")
    read = ModelCard.from_json((tmp_path / "new" / "folder" / CARD_FILE).read_bytes())
    assert read == written
    read.verify(MODEL_FILE, (tmp_path / "new" / "folder" / MODEL_FILE).read_bytes())


def test_the_version_follows_the_content(tmp_path: Path) -> None:
    first = write_bundle(tmp_path, CARD, b"graph")
    assert write_bundle(tmp_path, CARD, b"graph").model_version == first.model_version
    assert write_bundle(tmp_path, CARD, b"another").model_version != first.model_version


def test_nothing_but_the_bundle_is_left(tmp_path: Path) -> None:
    write_bundle(tmp_path, CARD, b"graph")
    assert sorted(path.name for path in tmp_path.iterdir()) == [CARD_FILE, MODEL_FILE]
