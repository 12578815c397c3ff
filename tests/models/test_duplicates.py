"""Copies are found, strangers are not, and plain pictures make no giant group."""

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from models.duplicates import near_duplicate_groups
from models.inspection import ImageFacts, dhash
from tests.models.labelled_pictures import scene


def facts(image: Image.Image) -> ImageFacts:
    thumbnail = image.convert("RGB").resize((18, 16), Image.Resampling.BILINEAR, reducing_gap=6.0)
    return ImageFacts(*image.size, "PNG", "RGB", dhash(np.asarray(thumbnail)), thumbnail.tobytes())


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


COPIES = {
    "re-encoded": lambda image: as_jpeg(image, 30),
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "enlarged": lambda image: image.resize((int(image.width * 1.7), int(image.height * 1.7))),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.85),
}


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_found_and_strangers_are_not(name: str) -> None:
    originals = [scene(seed) for seed in range(60)]
    copies = [COPIES[name](image) for image in originals]
    found = near_duplicate_groups([facts(image) for image in originals + copies])
    assert sorted(map(sorted, found)) == [[i, i + 60] for i in range(60)]


def test_chains_become_one_group() -> None:
    image = scene(1)
    found = near_duplicate_groups(
        [facts(scene(2)), facts(image), facts(as_jpeg(image, 50)), facts(as_jpeg(image, 20))]
    )
    assert found == [[1, 2, 3]]


def test_plain_pictures_are_not_taken_for_copies() -> None:
    random = np.random.default_rng(0)
    plain = [
        Image.fromarray((level + random.integers(0, 3, (64, 64, 3))).astype(np.uint8))
        for level in range(50, 200)
    ]
    assert near_duplicate_groups([facts(image) for image in plain]) == []


def test_different_shapes_on_one_background_are_different() -> None:
    pictures = []
    for position in range(6):
        image = Image.new("RGB", (96, 96), (90, 140, 230))
        image.paste((30, 30, 30), (position * 14, 40, position * 14 + 16, 60))
        pictures.append(facts(image))
    assert near_duplicate_groups(pictures) == []


def test_a_thousand_frames_of_one_scene_are_one_group() -> None:
    random = np.random.default_rng(0)
    still = np.asarray(scene(3)).astype(int)
    frames = [
        facts(
            Image.fromarray(
                np.clip(still + random.integers(-5, 6, still.shape), 0, 255).astype(np.uint8)
            )
        )
        for _ in range(1000)
    ]
    assert near_duplicate_groups(frames) == [list(range(1000))]


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_to_compare(count: int) -> None:
    assert near_duplicate_groups([facts(scene(1))] * count) == []
