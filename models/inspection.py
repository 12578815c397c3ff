"""Open and fully decode every uploaded picture; say in plain words what is wrong with a bad one."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from contracts.bundle import Preprocessing
from contracts.errors import UnreadableExample
from contracts.limits import MIB, Limits
from contracts.manifest import Flag
from models.memory_share import MemoryShare
from models.problems import Problem
from serving.lookalikes import why_unreadable
from serving.picture_cost import MAX_OPENING_BYTES, opening_bytes
from serving.preprocess import FORMATS, decode
from serving.structure import TooCostly, check_structure

THUMBNAIL_SIZE: Final = (18, 16)  # width, height: every dhash cell is the mean of 2 × 2 of these

_CHUNK = 64  # pictures per job: handing over single ones costs more than opening a small one
_FIX = "save it as JPEG or PNG and upload it again"
# Larger than any side, so that JPEGs are decoded in full and a broken end is noticed.
_FULL_SIZE = Preprocessing(resize=2**20)
# Of all threads: one very large picture at a time, or hundreds of usual ones.
_MEMORY = MemoryShare(MAX_OPENING_BYTES)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What a readable picture is. Sides are px after EXIF rotation."""

    width: int
    height: int
    format: str  # one of `serving.preprocess.FORMATS`
    mode: str  # as stored, e.g. "CMYK"
    dhash: int  # 64 bits
    thumbnail: bytes  # (16, 18, 3) uint8, stretched to that size


def inspect_images(
    paths: Sequence[Path],
    limits: Limits,
    workers: int | None = None,
    on_progress: Callable[[float], None] = lambda _: None,
) -> list[ImageFacts | Problem]:
    """Inspect many pictures, in the order given; `on_progress` gets the share done, 0..1.

    Threads: Pillow decodes without holding Python's lock, so two threads match two processes on
    photographs of 400 px, and starting processes below a flow run is a risk of its own.
    """
    found: list[ImageFacts | Problem] = []
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    with ThreadPoolExecutor(workers) as pool:
        for part in pool.map(lambda chunk: [inspect_image(p, limits) for p in chunk], chunks):
            found += part
            on_progress(len(found) / len(paths))
    return found


def inspect_image(path: Path, limits: Limits) -> ImageFacts | Problem:
    """Inspect one picture; nothing in its bytes makes this raise, a file that is absent does."""
    data = path.read_bytes()
    if not data:
        return Problem(Flag.UNREADABLE, f"the file is empty (0 bytes): {_FIX}")
    if len(data) > limits.max_file_bytes:
        return Problem(
            Flag.TOO_LARGE,
            f"the file has {len(data) / MIB:.1f} MiB, at most {limits.max_file_bytes / MIB:.0f} "
            "are read: scale the picture down",
        )
    try:
        return _open_fully(data, limits)
    except TooCostly as error:
        return Problem(Flag.TOO_LARGE, f"{error.message}: {error.fix}")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # by the header
        return _too_many_pixels("far too many", limits)
    except UnreadableExample as error:
        return Problem(Flag.UNREADABLE, f"{error.message}: {error.fix}")
    except Exception as error:  # noqa: BLE001 - decoders raise almost anything on hostile bytes
        return Problem(Flag.UNREADABLE, ": ".join(why_unreadable(data, error)))


def _open_fully(data: bytes, limits: Limits) -> ImageFacts | Problem:
    """Judge the header first: a bomb must not be decoded to be refused."""
    passes = check_structure(data)
    with Image.open(BytesIO(data), formats=FORMATS) as image:
        width, height, mode, stored_as = *image.size, image.mode, image.format or ""
        problem = _size_problem(width, height, limits)
        if problem:
            return problem
        needed = opening_bytes(image, image.size, passes)
    with _MEMORY.held(needed):
        picture = decode(data, _FULL_SIZE, limits.max_pixels)  # the code that will serve it
        # Bilinear finds more enlarged and cut copies than box sampling, a smaller gap misses many.
        small = picture.resize(THUMBNAIL_SIZE, Image.Resampling.BILINEAR, reducing_gap=6.0)
    return ImageFacts(
        *picture.size,
        format="JPEG" if stored_as == "MPO" else stored_as,  # MPO: a phone's JPEG with a preview
        mode=mode,
        dhash=dhash(np.asarray(small)),
        thumbnail=small.tobytes(),
    )


def dhash(thumbnail: np.ndarray) -> int:
    """Difference hash of a `(16, 18, 3)` uint8 picture: is each cell brighter than its left one.

    8 rows of 8 comparisons make 64 bits. Source: N. Krawetz, "Kind of Like That" (2013); the step
    of one grey level is added so that plain areas give zeros instead of noise.
    """
    grey = thumbnail @ np.array([0.299, 0.587, 0.114])
    cells = grey.reshape(8, 2, 9, 2).mean(axis=(1, 3))
    return int.from_bytes(np.packbits(cells[:, 1:] > cells[:, :-1] + 1).tobytes(), "big")


def _size_problem(width: int, height: int, limits: Limits) -> Problem | None:
    if width * height > limits.max_pixels:
        return _too_many_pixels(f"{width} × {height}", limits)
    if min(width, height) < limits.min_side_px:
        return Problem(
            Flag.TOO_SMALL,
            f"the picture has {width} × {height} pixels, each side needs at least "
            f"{limits.min_side_px}: upload the original instead of a preview",
        )
    aspect = max(width, height) / min(width, height)
    if aspect > limits.max_aspect:
        return Problem(
            Flag.ODD_SHAPE,
            f"the picture has {width} × {height} pixels, one side may be at most "
            f"{limits.max_aspect:g} times the other: cut it to what matters",
        )
    return None


def _too_many_pixels(size: str, limits: Limits) -> Problem:
    return Problem(
        Flag.TOO_LARGE,
        f"the picture has {size} pixels, at most {limits.max_pixels:,} are read: "
        "scale it down, 1,000 pixels a side are plenty",
    )
