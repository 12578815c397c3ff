"""TIFF files: directories in circles, strips and tiles without end, values of every width."""

import random
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from tests.hostile.drawn import Draw, encoded, flipped, painted
from tests.hostile.png_files import zeros

_SHORT, _LONG = 3, 4
_SIZES = {_SHORT: 2, _LONG: 4}
Tag = tuple[int, int, Sequence[int]]  # number, type, values


def tiff(tags: Sequence[Tag], body: bytes, following: int = 0) -> bytes:
    """`body` begins at byte 8, the directory comes behind it; long values are behind that."""
    at = 8 + len(body)
    directory, late = struct.pack("<H", len(tags)), b""
    late_at = at + 2 + 12 * len(tags) + 4
    for number, kind, values in sorted(tags):
        data = b"".join(struct.pack("<I" if kind == _LONG else "<H", v) for v in values)
        entry = struct.pack("<HHI", number, kind, len(values))
        if len(data) > 4:
            entry += struct.pack("<I", late_at + len(late))
            late += data
        else:
            entry += data.ljust(4, b"\0")
        directory += entry
    directory += struct.pack("<I", at if following < 0 else following)
    return b"II*\0" + struct.pack("<I", at) + body + directory + late


def basic(width: int, height: int, bits: int = 8, compression: int = 1) -> dict[int, Tag]:
    found: list[Tag] = [
        (256, _LONG, [width]),
        (257, _LONG, [height]),
        (258, _SHORT, [bits]),
        (259, _SHORT, [compression]),
        (262, _SHORT, [1]),
        (273, _LONG, [8]),
        (277, _SHORT, [1]),
        (278, _LONG, [height]),
    ]
    return {tag[0]: tag for tag in found}


def _circle(rng: random.Random) -> bytes:
    tags = basic(20, 20)
    return tiff(list(tags.values()), bytes(400), following=rng.choice([-1, 8, 2**32 - 1]))


def _strips(rng: random.Random) -> bytes:
    """Many strips over the same bytes, each a good part of the picture."""
    side = rng.choice([64, 2_000])
    count = rng.choice([100, 20_000, 400_000])
    tags = basic(side, side, 1)
    body = bytes(side * side // 8 + side)
    tags[273] = (273, _LONG, [8] * count)
    tags[278] = (278, _LONG, [side // 2])
    return tiff(list(tags.values()), body)


def _tiles(rng: random.Random) -> bytes:
    """A small picture in tiles that are far larger than itself."""
    side = rng.choice([4_096, 20_000, 60_000])
    packed = zeros(min(side * side, 400 * 2**20))
    tags = basic(16, 16, 8, rng.choice([8, 32_946]))
    del tags[273], tags[278]
    tags[322], tags[323] = (322, _LONG, [side]), (323, _LONG, [side])
    tags[324], tags[325] = (324, _LONG, [8]), (325, _LONG, [len(packed)])
    return tiff(list(tags.values()), packed)


def _rows(rng: random.Random) -> bytes:
    tags = basic(30, 30, rng.choice([1, 8, 16]), rng.choice([1, 5, 8, 32_773]))
    tags[278] = (278, _LONG, [rng.choice([0, 1, 2**31, 2**32 - 1])])
    tags[279] = (279, _LONG, [rng.choice([0, 1, 2**32 - 1])])
    tags[273] = (273, _LONG, [rng.choice([0, 8, 2**32 - 1])] * rng.choice([1, 2, 30]))
    return tiff(list(tags.values()), zlib.compress(rng.randbytes(900)))


def _sides(rng: random.Random) -> bytes:
    sides = [0, 1, 40, 65_535, 2**31, 2**32 - 1]
    return tiff(list(basic(rng.choice(sides), rng.choice(sides)).values()), bytes(4_000))


def _large(rng: random.Random) -> bytes:
    side, bits = rng.choice([(4_000, 8), (9_000, 8), (9_000, 16), (9_000, 1)])
    packed = zeros(side * side * bits // 8 + side)
    tags = basic(side, side, bits, 8)
    tags[279] = (279, _LONG, [len(packed)])
    if rng.random() < 0.5:
        tags[274] = (274, _SHORT, [rng.randint(2, 8)])
    return tiff(list(tags.values()), packed)


def _coded(rng: random.Random) -> bytes:
    """Any compression there is, over data that are not compressed so."""
    codes = [2, 3, 4, 5, 6, 7, 8, 32_773, 32_946, 34_676, 34_925, 50_000, 50_001, 99]
    tags = basic(40, 40, rng.choice([1, 8]), rng.choice(codes))
    body = rng.choice([rng.randbytes(2_000), bytes(2_000), encoded(painted(rng, 40, 40), "JPEG")])
    tags[279] = (279, _LONG, [len(body)])
    if rng.random() < 0.5:
        tags[262], tags[277] = (262, _SHORT, [6]), (277, _SHORT, [3])
        tags[258] = (258, _SHORT, [8, 8, 8])
    return tiff(list(tags.values()), body)


def _directory(rng: random.Random) -> bytes:
    """Thousands of tags that all point at the same large piece."""
    tags: list[Tag] = list(basic(20, 20).values())
    whole = bytearray(tiff([*tags, *((n, _LONG, [1]) for n in range(40_000, 60_000))], bytes(400)))
    at = whole.find(struct.pack("<HH", 40_000, _LONG))
    for number in range(20_000):
        struct.pack_into("<HII", whole, at + 12 * number + 2, 7, 200_000, 8)
    return bytes(whole)


def _values(rng: random.Random) -> bytes:
    """Floats with infinities, and whole numbers of 16 and 32 bits, some below zero."""
    side = rng.randint(16, 60)
    kind: Any = rng.choice([np.float32, np.int32, np.uint16])
    values = np.frombuffer(rng.randbytes(side * side * kind().itemsize), kind)
    if kind is np.float32:
        values = np.nan_to_num(values, nan=np.nan) * np.float32(rng.choice([0.0, 1.0, np.inf]))
    return encoded(Image.fromarray(values.reshape(side, side)), "TIFF")


def _samples(rng: random.Random) -> bytes:
    tags = basic(20, 20)
    count = rng.choice([2, 4, 6, 7, 65_535])
    tags[277] = (277, _SHORT, [count])
    tags[258] = (258, _SHORT, [rng.choice([1, 7, 8, 16, 64])] * min(count, 8))
    tags[262] = (262, _SHORT, [rng.choice([0, 1, 2, 3, 5, 6, 8, 32_844])])
    tags[284] = (284, _SHORT, [rng.choice([1, 2])])
    tags[273] = (273, _LONG, [8] * rng.choice([1, count % 9 + 1]))
    return tiff(list(tags.values()), rng.randbytes(4_000))


def _spoilt(rng: random.Random) -> bytes:
    compression = rng.choice(["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
    data = bytearray(encoded(painted(rng), "TIFF", compression=compression))
    at = struct.unpack_from("<I", data, 4)[0]
    if rng.random() < 0.7:
        return bytes(data[:at]) + flipped(rng, bytes(data[at:]), rng.randint(1, 8), 150)
    return flipped(rng, bytes(data), rng.randint(1, 20))


KINDS: dict[str, Draw] = {
    "tiff-circle": _circle,
    "tiff-coded": _coded,
    "tiff-directory": _directory,
    "tiff-large": _large,
    "tiff-rows": _rows,
    "tiff-samples": _samples,
    "tiff-sides": _sides,
    "tiff-spoilt": _spoilt,
    "tiff-strips": _strips,
    "tiff-tiles": _tiles,
    "tiff-values": _values,
}
