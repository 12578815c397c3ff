"""BMP files with impossible sides and run lengths that never end a line."""

import random
import struct

from tests.hostile.drawn import Draw, encoded, flipped, painted


def bmp(
    width: int,
    height: int,
    bits: int = 24,
    compression: int = 0,
    colours: int = 0,
    body: bytes = b"",
    size: int = 40,
) -> bytes:
    info = struct.pack(
        "<IiiHHIIiiII", size, width, height, 1, bits, compression, len(body), 0, 0, colours, 0
    )
    palette = bytes(range(256)) * 4 if bits <= 8 else b""
    palette = palette[: 4 * (colours or 2**bits)] if bits <= 8 else b""
    info += bytes(max(size - 40, 0))
    offset = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset) + info + palette + body


def _sides(rng: random.Random) -> bytes:
    sides = [0, 1, -1, 20, -20, 2**31 - 1, -(2**31), 65_535, -65_535]
    return bmp(
        rng.choice(sides), rng.choice(sides), rng.choice([1, 4, 8, 24, 32]), body=bytes(5_000)
    )


def _lines(rng: random.Random) -> bytes:
    """Nothing but ends of lines: each fills a whole line, byte by byte."""
    width, height = rng.choice([(65_000, 1_300), (9_000, 9_000), (500, 500)])
    return bmp(width, height, 8, 1, body=b"\1\1\0\0" * height + b"\0\1")


def _runs(rng: random.Random) -> bytes:
    width, height = rng.choice([(255, 255), (4_000, 4_000), (9_000, 9_000)])
    kind = rng.choice([1, 2])
    run = rng.choice([b"\xff\x01", b"\x01\x01", b"\0\2\1\1", b"\0\xff" + bytes(256)])
    body = run * min(width * height // 255 + 1, 2 * 2**20 // len(run))
    return bmp(width, height, 8 if kind == 1 else 4, kind, body=body)


def _palette(rng: random.Random) -> bytes:
    return bmp(
        20, 20, rng.choice([1, 4, 8]), 0, rng.choice([1, 257, 65_536, 2**32 - 1]), bytes(900)
    )


def _fields(rng: random.Random) -> bytes:
    size = rng.choice([12, 40, 52, 56, 64, 108, 124, 200, 2**31])
    return bmp(
        16,
        16,
        rng.choice([16, 24, 32]),
        rng.choice([3, 4, 5, 6, 99]),
        0,
        bytes(2_000),
        size % 4_096,
    )


def _spoilt(rng: random.Random) -> bytes:
    return flipped(rng, encoded(painted(rng), "BMP"), rng.randint(1, 10), 54)


def _large(rng: random.Random) -> bytes:
    width = rng.choice([4_000, 12_000])
    return bmp(width, 3_500, 1, body=bytes((width + 31) // 32 * 4 * 3_500))


KINDS: dict[str, Draw] = {
    "bmp-fields": _fields,
    "bmp-large": _large,
    "bmp-lines": _lines,
    "bmp-palette": _palette,
    "bmp-runs": _runs,
    "bmp-sides": _sides,
    "bmp-spoilt": _spoilt,
}
