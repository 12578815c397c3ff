"""How much memory a picture takes to open, by its header: kilobytes can announce gigabytes."""

import os
from typing import Any, Final

from PIL import ExifTags, Image

from contracts.limits import MIB
from serving.structure import TooCostly

MAX_OPENING_BYTES: Final = 512 * MIB
_SHARE: Final = 0.3  # of a small function's memory; the rest is for the model and the request
_RLE_PIXELS: Final = 10_000_000  # Pillow decodes these in Python, a second for so many
_MAX_COVER: Final = 8  # times that parts may cover the picture; planes lie over one another
_PARTS: Final = 100_000  # as many strips or tiles


def check_cost(image: Image.Image, stored: tuple[int, int], passes: int) -> None:
    """Refuse what would take too long or too much; call before the first pixel is read.

    `stored` is the size in the file, of which a JPEG may come scaled down. Raises `TooCostly`.
    """
    _check_tiles(image)
    needed, largest = opening_bytes(image, stored, passes), _largest()
    if needed > largest:
        raise TooCostly(
            f"the picture has {stored[0]} × {stored[1]} pixels of a kind that takes "
            f"{needed / MIB:,.0f} MiB of memory to open, {largest / MIB:,.0f} are given",
            fix="scale the picture down and save it as JPEG or PNG, 1,000 pixels a side are plenty",
        )


def opening_bytes(image: Image.Image, stored: tuple[int, int], passes: int) -> int:
    """The most that is held at once from the first pixel read to an upright RGB picture."""
    pixels, own = image.width * image.height, _bytes_a_pixel(image.mode)
    while_decoding: float = 0
    kept: float = 0
    if passes > 1:  # then all of a JPEG is kept before the first line comes out
        while_decoding = 2 * stored[0] * stored[1] * _samples(image)
    elif image.format == "TIFF":
        while_decoding = max(_strip_bytes(image), pixels * own)  # or while it is turned
    elif image.format == "WEBP":
        kept = pixels * (20 if image.mode == "RGBA" else 16)  # two canvases, and copies
    afterwards = 0 if image.mode == "RGB" and not _may_be_turned(image) else 4 * pixels
    return int(pixels * own + kept + max(while_decoding, afterwards))


def orientation(image: Image.Image) -> int:
    """By the metadata, 1 to 8; 1 is upright."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - a broken EXIF block does not make the picture unreadable
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _may_be_turned(image: Image.Image) -> bool:
    """Before it is read: asking a PNG for what it has not told yet would read it all."""
    is_silent = image.format == "PNG" and "exif" not in image.info
    return not is_silent and orientation(image) != 1


def _check_tiles(image: Image.Image) -> None:
    tiles: list[Any] = getattr(image, "tile", [])
    pixels = image.width * image.height
    if any(tile[0] == "bmp_rle" for tile in tiles) and pixels > _RLE_PIXELS:
        raise TooCostly(
            f"the run-length coded BMP has {pixels:,} pixels, at most {_RLE_PIXELS:,} are read",
            fix="save it as PNG",
        )
    covered = sum((right - left) * (lower - upper) for _, (left, upper, right, lower), *_ in tiles)
    if len(tiles) > _PARTS or covered > _MAX_COVER * pixels:
        raise TooCostly("the picture's parts lie over one another", fix="save it again")


def _bytes_a_pixel(mode: str) -> int:
    if mode in {"1", "L", "P"}:
        return 1
    return 2 if mode.startswith("I;16") else 4


def _samples(image: Any) -> float:
    """Of each pixel: 3 for full colours, 1.5 where colours are stored in half the detail."""
    factors = [(across, down) for _, across, down, _ in image.layer]
    most = max((a for a, _ in factors), default=1) * max((d for _, d in factors), default=1)
    return float(sum(across * down for across, down in factors) / max(most, 1))


def _strip_bytes(image: Any) -> int:
    """Of what libtiff unpacks at once, a strip or a tile."""

    def number(tag: int, default: int) -> int:
        found = image.tag_v2.get(tag, default)
        return found if isinstance(found, int) else default

    width, height = number(322, image.width), number(323, 0)
    height = height or min(number(278, image.height), image.height)
    bits = image.tag_v2.get(258, (1,))
    bits = sum(bits) if isinstance(bits, tuple) else 64
    is_ycc = number(262, 0) == 6  # given as RGBA
    return width * height * max(32 if is_ycc else bits, 1) // 8


def _largest() -> int:
    """Less in a function that has little memory itself; Lambda would kill it."""
    own = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
    return min(MAX_OPENING_BYTES, int(int(own) * MIB * _SHARE)) if own else MAX_OPENING_BYTES
