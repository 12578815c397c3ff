import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contracts.errors import BundleInvalid, UnreadableExample
from models.draft import fit_head
from models.encoder import PIXELS, extract, pixel_encoder
from serving.readers import reader_of
from tests.models.pictures import write_digits


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    path = tmp_path / "pixels.onnx"
    path.write_bytes(pixel_encoder())
    return path


def test_features_keep_the_order_of_the_pictures(encoder: Path, tmp_path: Path) -> None:
    paths, _ = write_digits(tmp_path / "digits", 21)
    together = extract(encoder, paths, reader_of(PIXELS))
    alone = [
        extract(encoder, [path.read_bytes()], reader_of(PIXELS), threads=1)[0] for path in paths
    ]
    assert together.shape == (21, 704)
    assert together.dtype == np.float32
    assert np.abs(together - np.array(alone)).max() < 1e-5


def test_progress_reaches_the_total(encoder: Path, tmp_path: Path) -> None:
    paths, _ = write_digits(tmp_path / "digits", 10)
    seen: list[tuple[int, int]] = []
    extract(encoder, paths, reader_of(PIXELS), on_progress=lambda *step: seen.append(step))
    assert seen == [(8, 10), (10, 10)]


def test_no_pictures_give_no_rows(encoder: Path) -> None:
    assert extract(encoder, [], reader_of(PIXELS)).shape == (0, 704)


def test_an_unreadable_picture_ends_it_at_once(encoder: Path, tmp_path: Path) -> None:
    paths, _ = write_digits(tmp_path / "digits", 20)
    paths[3].write_bytes(b"nothing")
    with pytest.raises(UnreadableExample):
        extract(encoder, paths, reader_of(PIXELS))


def test_a_broken_encoder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"broken")
    with pytest.raises(BundleInvalid):
        extract(path, [], reader_of(PIXELS))


def test_edges_are_told_apart_by_direction(encoder: Path) -> None:
    def stripes(vertical: bool) -> bytes:
        pixels = np.zeros((64, 64), np.uint8)
        pixels[:, ::8] = 255
        buffer = io.BytesIO()
        Image.fromarray(pixels if vertical else pixels.T).save(buffer, "PNG")
        return buffer.getvalue()

    vertical, horizontal = extract(encoder, [stripes(True), stripes(False)], reader_of(PIXELS))
    strengths = [row[192:].reshape(8, 64).mean(axis=1) for row in (vertical, horizontal)]
    assert strengths[0][0] > 2 * strengths[0][2]
    assert strengths[1][2] > 2 * strengths[1][0]


def test_digits_are_learned_without_any_weights(encoder: Path, tmp_path: Path) -> None:
    paths, digits = write_digits(tmp_path / "digits", 1_000)
    features, labels = extract(encoder, paths, reader_of(PIXELS)), np.array(digits)
    part = np.arange(1_000) % 10
    head = fit_head(features[part < 7], labels[part < 7], part[part < 7] == 6, 10)
    predicted = (features[part >= 7] @ head.weight + head.bias).argmax(1)
    assert (predicted == labels[part >= 7]).mean() >= 0.93
