import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contracts.bundle import CARD_FILE, MODEL_FILE
from contracts.errors import BundleInvalid, UnreadableExample
from serving.predictor import Predictor, softmax


def painted(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_answers_with_label_probabilities_and_version(bundle: Path) -> None:
    predictor = Predictor.load(bundle)
    answer = predictor.answer(painted("blue"))
    assert answer.label == "🔵"
    assert list(answer.probabilities) == ["rot", "grün", "🔵"]
    assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert answer.model_version == predictor.card.model_version
    assert answer.model_version.startswith("draft-")


def test_what_fits_no_class_has_no_label(bundle: Path) -> None:
    assert Predictor.load(bundle).answer(painted("grey")).label is None


def test_a_batch_gives_what_single_pictures_give(bundle: Path, tmp_path: Path) -> None:
    predictor = Predictor.load(bundle)
    file = tmp_path / "green"
    file.write_bytes(painted("lime"))
    sources = [painted("red"), file, painted("navy"), painted("pink"), painted("white")]
    rows = predictor.probabilities(sources, batch_size=2)
    single = [list(predictor.answer(source).probabilities.values()) for source in sources]
    assert rows.shape == (5, 3)
    assert rows == pytest.approx(np.array(single), abs=2e-6)


def test_no_pictures_give_no_rows(bundle: Path) -> None:
    assert Predictor.load(bundle).probabilities([]).shape == (0, 3)


def test_an_unreadable_picture_is_named_as_such(bundle: Path) -> None:
    with pytest.raises(UnreadableExample):
        Predictor.load(bundle).answer(b"no picture")


@pytest.mark.parametrize("name", [CARD_FILE, MODEL_FILE])
def test_a_missing_file_is_noticed(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(BundleInvalid):
        Predictor.load(bundle)


def test_an_altered_graph_is_noticed(bundle: Path) -> None:
    graph = bytearray((bundle / MODEL_FILE).read_bytes())
    graph[-3] ^= 1
    (bundle / MODEL_FILE).write_bytes(graph)
    with pytest.raises(BundleInvalid, match="checksum"):
        Predictor.load(bundle)


def test_an_altered_card_is_noticed(bundle: Path) -> None:
    card = (bundle / CARD_FILE).read_text().replace('"rejection_threshold": -0.5', '"x": 0')
    (bundle / CARD_FILE).write_text(card)
    with pytest.raises(BundleInvalid):
        Predictor.load(bundle)
    changed = card.replace('"x": 0', '"rejection_threshold": 0.1')
    (bundle / CARD_FILE).write_text(changed)
    with pytest.raises(BundleInvalid, match="altered"):
        Predictor.load(bundle)


def test_a_graph_that_is_none_is_refused(bundle: Path) -> None:
    with pytest.raises(BundleInvalid, match="cannot be loaded"):
        Predictor(Predictor.load(bundle).card, b"no graph")


def test_softmax_stands_large_logits() -> None:
    rows = softmax(np.array([[1e4, 0, -1e4], [0, 0, 0]], np.float32))
    assert rows == pytest.approx(np.array([[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]]))
