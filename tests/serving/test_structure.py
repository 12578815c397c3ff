"""Files whose parts would keep a decoder busy for minutes are refused before it begins."""

import random
import struct

import pytest

from serving.structure import MAX_PARTS, MAX_PASSES, TooCostly, check_structure
from tests.hostile import gif_files, jpeg_files, png_files, tiff_files
from tests.hostile.drawn import FORMATS, encoded, painted

PAINTED = painted(random.Random(0), 64, 64)


def several_passes(times: int) -> bytes:
    return jpeg_files.scans(encoded(PAINTED, "JPEG", progressive=True), times)


@pytest.mark.parametrize("kind", FORMATS)
def test_usual_pictures_pass(kind: str) -> None:
    assert check_structure(encoded(PAINTED, kind)) == 1


def test_passes_of_a_progressive_picture_are_counted() -> None:
    data = encoded(PAINTED, "JPEG", progressive=True)
    usual = data.count(b"\xff\xda")
    assert check_structure(data) == usual
    assert check_structure(several_passes(20)) == usual + 20
    with pytest.raises(TooCostly, match="more than 100 passes") as refusal:
        check_structure(several_passes(MAX_PASSES))
    assert refusal.value.fix


def test_a_preview_inside_of_the_metadata_is_no_pass() -> None:
    preview = jpeg_files.segment(0xE1, b"Exif\0\0" + several_passes(30))
    assert check_structure(jpeg_files.with_segments(encoded(PAINTED, "JPEG"), preview)) == 1


def test_an_end_inside_of_a_comment_hides_no_passes() -> None:
    data = several_passes(MAX_PASSES)
    scan = data.find(b"\xff\xda")
    data = data[:scan] + jpeg_files.segment(0xFE, b"\xff\xd9") + data[scan:]
    with pytest.raises(TooCostly):
        check_structure(data)


def test_what_follows_the_end_is_not_counted() -> None:
    """Phones put a film behind the picture."""
    film = several_passes(MAX_PASSES) + random.Random(0).randbytes(10**6)
    assert check_structure(encoded(PAINTED, "JPEG") + film) == 1


many = MAX_PARTS + 1
strips = tiff_files.basic(2_000, 2_000, 1) | {273: (273, 4, [8] * many), 278: (278, 4, [1_000])}
CROWDED = {
    "jpeg": jpeg_files.with_segments(
        encoded(PAINTED, "JPEG"), jpeg_files.segment(0xFE, b"") * many
    ),
    "png": png_files.png(png_files.header(8, 8), png_files.chunk(b"prVt") * many),
    "gif": gif_files.gif(8, 8, b"!\xfe\1x\0" * many, gif_files.frame(0, 0, 8, 8)),
    "gif in one block": gif_files.gif(8, 8, b"!\xfe" + b"\1x" * many, flags=0),
    "tiff": tiff_files.tiff(list(strips.values()), bytes(600_000)),
}


@pytest.mark.parametrize("name", CROWDED)
def test_too_many_parts_are_refused(name: str) -> None:
    with pytest.raises(TooCostly, match="more than 100,000 parts"):
        check_structure(CROWDED[name])


@pytest.mark.parametrize("order", ["<", ">"])
def test_large_and_turned_directories_are_understood(order: str) -> None:
    mark = b"II" if order == "<" else b"MM"
    small = mark + struct.pack(f"{order}HIHHHII", 42, 8, 1, 273, 4, many, 0)
    # BigTIFF; Pillow takes the mark of either order at the same place.
    big = mark + b"+\0" + bytes(4) + struct.pack(f"{order}QQHHQQ", 16, 1, 324, 4, many, 0)
    for data in (small, big):
        with pytest.raises(TooCostly):
            check_structure(data)


def test_whatever_is_cut_off_or_no_picture_at_all_passes() -> None:
    rng = random.Random(0)
    for start in (b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"MM\0+", b"BM", b""):
        for size in (0, 1, 2, 9, 40, 400):
            check_structure(start + rng.randbytes(size))
    for data in CROWDED.values():
        check_structure(data[:200])
