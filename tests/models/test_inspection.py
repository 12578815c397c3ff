"""Every kind of picture an uploader may send, sound and broken."""

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contracts.limits import Limits
from contracts.manifest import Flag
from models.inspection import ImageFacts, inspect_image, inspect_images
from models.problems import Problem
from tests.hostile import png_files
from tests.models.labelled_pictures import scene

LIMITS = Limits()


def written(folder: Path, data: bytes, name: str = "picture.jpg") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def facts(folder: Path, data: bytes) -> ImageFacts:
    found = inspect_image(written(folder, data), LIMITS)
    assert isinstance(found, ImageFacts), found
    return found


def problem(folder: Path, data: bytes, limits: Limits = LIMITS) -> Problem:
    found = inspect_image(written(folder, data), limits)
    assert isinstance(found, Problem), found
    return found


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_accepted_formats_whatever_the_file_is_called(tmp_path: Path, kind: str) -> None:
    found = facts(tmp_path, encoded(scene(1), kind))
    assert (found.format, found.width, found.height) == (kind, 96, 96)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_any_mode(tmp_path: Path, mode: str) -> None:
    picture = scene(2)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    else:
        image = picture.convert(mode)
    found = facts(tmp_path, encoded(image, "TIFF" if mode == "CMYK" else "PNG"))
    assert found.mode == mode
    grey = facts(tmp_path, encoded(picture.convert("L"), "PNG"))
    if mode != "1":  # dithering moves single pixels
        assert (found.dhash ^ grey.dhash).bit_count() <= 12


def test_rotation_in_the_metadata_is_honoured(tmp_path: Path) -> None:
    upright = scene(3).crop((0, 0, 96, 48))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to view
    turned = encoded(upright.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)
    found, expected = facts(tmp_path, turned), facts(tmp_path, encoded(upright, "PNG"))
    assert (found.width, found.height, found.dhash) == (96, 48, expected.dhash)


def test_an_animation_counts_as_its_first_frame(tmp_path: Path) -> None:
    frames = [scene(seed).convert("P") for seed in (4, 5)]
    moving = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    still = facts(tmp_path, encoded(frames[0], "GIF"))
    assert facts(tmp_path, moving).dhash == still.dhash


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_cut_off_pictures_are_noticed(tmp_path: Path, kind: str) -> None:
    data = encoded(scene(6), kind)
    found = problem(tmp_path, data[: len(data) // 2])
    assert found.flag is Flag.UNREADABLE
    assert "damaged or cut off" in found.note


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "0 bytes"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\xef\xbb\xbf <?xml version='1.0'?><svg/>", "SVG"),
        (b"<!DOCTYPE html><html>not found</html>", "web page"),
        (b"%PDF-1.7", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "no JPEG"),
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"PK\x03\x04rest", "zip"),
        (b"\xff\xd8\xff\xe0", "damaged or cut off"),
        (bytes(range(256)), "no JPEG"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path: Path, data: bytes, words: str) -> None:
    found = problem(tmp_path, data)
    assert found.flag is Flag.UNREADABLE
    assert words in found.note


def png_header(width: int, height: int) -> bytes:
    """A PNG that announces a size and holds one row of zeros."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        )

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(width + 1)))
        + chunk(b"IEND", b"")
    )


def test_a_text_that_unpacks_to_megabytes_is_named(tmp_path: Path) -> None:
    bomb = png_files.chunk(b"zTXt", b"Comment\0\0" + png_files.zeros(30 * 2**20))
    sound = encoded(scene(10), "PNG")
    found = problem(tmp_path, sound[:33] + bomb + sound[33:])
    assert (found.flag, "far too long" in found.note) == (Flag.UNREADABLE, True)


@pytest.mark.parametrize("side", [9_800, 12_000, 50_000])
def test_a_decompression_bomb_is_refused_by_its_header(tmp_path: Path, side: int) -> None:
    limits = Limits(max_pixels=90_000_000)
    assert problem(tmp_path, png_header(side, side), limits).flag is Flag.TOO_LARGE


def test_size_limits_say_what_would_be_right(tmp_path: Path) -> None:
    small = problem(tmp_path, encoded(scene(7, 7), "PNG"))
    assert (small.flag, "7 × 7" in small.note) == (Flag.TOO_SMALL, True)
    narrow = problem(tmp_path, encoded(Image.new("RGB", (500, 10)), "PNG"))
    assert (narrow.flag, "20 times" in narrow.note) == (Flag.ODD_SHAPE, True)
    heavy = problem(tmp_path, encoded(scene(8), "BMP"), Limits(max_file_bytes=1000))
    assert heavy.flag is Flag.TOO_LARGE


def test_hostile_bytes_never_raise(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
        sound = np.frombuffer(encoded(scene(9), kind), np.uint8)
        for _ in range(25):
            broken = sound.copy()
            where = random.integers(0, min(len(broken), 400), 6)
            broken[where] = random.integers(0, 256, 6)
            found = inspect_image(written(tmp_path, broken.tobytes()), LIMITS)
            assert isinstance(found, ImageFacts | Problem)


def test_an_absent_file_is_no_fault_of_the_picture(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        inspect_image(tmp_path / "absent", LIMITS)


def test_many_pictures_keep_their_order_and_report_progress(tmp_path: Path) -> None:
    paths = []
    for i in range(150):
        data = b"nothing" if i % 10 == 0 else encoded(scene(i, 16 + i), "PNG")
        paths.append(written(tmp_path, data, f"{i}.png"))
    seen: list[float] = []
    found = inspect_images(paths, LIMITS, workers=2, on_progress=seen.append)
    widths = [f.width if isinstance(f, ImageFacts) else 0 for f in found]
    assert widths == [0 if i % 10 == 0 else 16 + i for i in range(150)]
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert inspect_images([], LIMITS) == []
