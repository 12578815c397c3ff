"""What would take gigabytes or minutes to open is refused by its header, in plain words."""

import io
import random

import numpy as np
import pytest
from PIL import Image

from contracts.bundle import Preprocessing
from contracts.limits import MIB
from serving import preprocess
from serving.picture_cost import MAX_OPENING_BYTES, opening_bytes
from serving.preprocess import decode
from serving.structure import TooCostly
from tests.hostile import bmp_files, jpeg_files, png_files, tiff_files, webp_files
from tests.hostile.drawn import encoded, painted

SMALL = Preprocessing(size=32, resize=32)
RNG = random.Random(0)


def many_passes(side: int) -> bytes:
    """Four colours in full detail, all of which are kept until the last pass."""
    picture = encoded(Image.new("CMYK", (64, 64)), "JPEG", subsampling=0, progressive=True)
    return jpeg_files.resized(picture, side, side)


tiles = tiff_files.basic(16, 16, 8, 8) | {
    322: (322, 4, [30_000]),
    323: (323, 4, [30_000]),
    324: (324, 4, [8]),
    325: (325, 4, [900]),
}
COSTLY = {
    "transparent": png_files.blank(9_000, 9_000, 8, 6),
    "many passes": many_passes(9_400),
    "canvas": webp_files.large_canvas(7_000),
    "run lengths": bmp_files.bmp(65_000, 1_300, 8, 1, body=b"\1\1\0\0" * 1_300),
    "tiles": tiff_files.tiff(list(tiles.values()), bytes(900)),
}


@pytest.mark.parametrize("name", COSTLY)
def test_costly_pictures_are_refused_with_a_fix(name: str) -> None:
    with pytest.raises(TooCostly) as refusal:
        decode(COSTLY[name], SMALL)
    assert refusal.value.fix


def test_strips_that_lie_over_one_another_are_refused() -> None:
    tags = tiff_files.basic(64, 64, 1) | {273: (273, 4, [8] * 400), 278: (278, 4, [32])}
    with pytest.raises(TooCostly, match="over one another"):
        decode(tiff_files.tiff(list(tags.values()), bytes(600)), SMALL)


def test_a_photograph_of_many_pixels_is_read_small() -> None:
    photograph = encoded(Image.new("RGB", (6_000, 4_000)), "JPEG")
    assert decode(photograph, SMALL).size == (750, 500)


def test_a_small_function_reads_smaller_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = png_files.blank(3_000, 3_000, 8, 6)
    assert decode(picture, SMALL).size == (3_000, 3_000)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
    with pytest.raises(TooCostly, match="38 are given"):
        decode(picture, SMALL)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "10240")
    with pytest.raises(TooCostly, match=f"{MAX_OPENING_BYTES // MIB} are given"):
        decode(COSTLY["transparent"], SMALL)


def test_the_estimate_knows_what_copies_are_needed() -> None:
    def estimated(data: bytes, passes: int = 1) -> float:
        with Image.open(io.BytesIO(data)) as image:
            return opening_bytes(image, image.size, passes) / (image.width * image.height)

    picture = painted(RNG, 64, 64)
    turned = Image.Exif()
    turned[0x0112] = 6
    assert estimated(encoded(picture, "PNG")) == 4
    assert estimated(encoded(picture, "PNG", exif=turned)) == 8
    assert estimated(encoded(picture.convert("L"), "PNG")) == 5
    assert estimated(encoded(picture, "JPEG", subsampling=0), passes=10) == 10
    assert estimated(encoded(picture, "JPEG", subsampling="4:2:0"), passes=10) == 7
    assert estimated(encoded(picture, "WEBP")) == 20
    assert estimated(encoded(picture, "TIFF")) == 8


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P", "I;16", "I", "F"])
def test_conversion_in_bands_changes_no_pixel(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = painted(RNG, 90, 70)
    if mode in {"I;16", "I", "F"}:
        values = np.asarray(picture.convert("L")).astype(np.float32) * 211
        image = Image.fromarray(values.astype({"I;16": np.uint16, "I": np.int32}.get(mode, "f4")))
        data = encoded(image, "TIFF")
    elif mode == "P":
        data = encoded(picture.quantize(20), "PNG", transparency=bytes(range(20)))
    else:
        picture.putalpha(painted(RNG, 90, 70).convert("L"))
        data = encoded(picture.convert(mode), "PNG")
    whole = np.asarray(decode(data, SMALL))
    monkeypatch.setattr(preprocess, "_BAND_PIXELS", 400)
    assert np.array_equal(np.asarray(decode(data, SMALL)), whole)
