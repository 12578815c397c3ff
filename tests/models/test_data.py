from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contracts.bundle import Preprocessing
from contracts.errors import UnreadableExample
from models.data import PictureSet, batches, decoded
from models.module import FineTuning
from models.recipe import Recipe
from models.torchlibs import torch
from models.zoo import ZOO, build
from serving.preprocess import decode, to_tensor

SMALL = Preprocessing(size=16, resize=16)


def write_pictures(folder: Path, count: int) -> list[Path]:
    """Noise of odd sizes, each picture other."""
    paths = []
    for index in range(count):
        shape = (20 + index, 50 - index, 3)
        noise = np.random.default_rng(index).integers(0, 256, shape, np.uint8)
        paths.append(folder / f"{index}")
        Image.fromarray(noise).save(paths[-1], "PNG")
    return paths


def test_evaluation_sees_exactly_what_serving_sees(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, 5)
    preprocessing = ZOO["cnn"].preprocessing
    pixels = decoded(paths, preprocessing, tmp_path / "cache")
    module = FineTuning(build("cnn", 2), Recipe(backbone="cnn"), preprocessing, torch.arange(2))
    batch, _ = next(iter(batches(PictureSet(pixels, [0] * 5), 5)))
    served = np.stack([to_tensor(decode(path, preprocessing), preprocessing) for path in paths])
    assert np.abs(module.views.to_input(batch).numpy() - served).max() < 1e-5


def test_pictures_are_decoded_once(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, 3)
    first = np.array(decoded(paths, SMALL, tmp_path / "cache"))
    for path in paths:
        path.unlink()
    assert np.array_equal(decoded(paths, SMALL, tmp_path / "cache"), first)


def test_other_preprocessing_is_another_file(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, 2)
    decoded(paths, SMALL, tmp_path / "cache")
    other = decoded(paths, Preprocessing(size=8, resize=16), tmp_path / "cache")
    assert other.shape == (2, 8, 8, 3)


def test_an_interrupted_decoding_leaves_no_half_file(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, 3)
    paths[2].write_bytes(b"broken")
    with pytest.raises(UnreadableExample):
        decoded(paths, SMALL, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.npy"))


def test_pixels_can_be_changed_without_changing_the_file(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, 1)
    decoded(paths, SMALL, tmp_path / "cache")[:] = 7
    assert decoded(paths, SMALL, tmp_path / "cache").min() != 7


def test_an_epoch_deals_every_row_once_and_in_an_order_of_its_own() -> None:
    pixels = np.zeros((10, 1, 1, 3), np.uint8)
    loader = batches(PictureSet(pixels, list(range(10))), 4, seed=3, shuffle=True)

    def epoch(number: int) -> list[int]:
        loader.sampler.set_epoch(number)
        return [int(label) for _, labels in loader for label in labels]

    assert sorted(epoch(0)) == list(range(10))
    assert epoch(0) == epoch(0)
    assert epoch(0) != epoch(1)
    assert len(loader) == 3
