"""WebP files with canvases that nothing fills and frames without end."""

import random
import struct
from functools import cache

from PIL import Image

from tests.hostile.drawn import Draw, encoded, flipped, painted


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(
        kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def extended(width: int, height: int, flags: int = 0) -> tuple[bytes, bytes]:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X", bytes([flags, 0, 0, 0]) + sides


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 12
    while at < len(data):
        size = struct.unpack_from("<I", data, at + 4)[0]
        found.append((data[at : at + 4], data[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    return found


def _frame(width: int, height: int, picture: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    kind, data = picture
    inner = kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
    return b"ANMF", bytes(6) + sides + b"\x0a\0\0" + b"\0" + inner


def large_canvas(side: int) -> bytes:
    """A large canvas with a small picture in its corner."""
    small = _chunks(encoded(painted(random.Random(0), 16, 16), "WEBP"))[-1]
    return riff(extended(side, side, 2), (b"ANIM", bytes(6)), _frame(16, 16, small))


def _canvas(rng: random.Random) -> bytes:
    return large_canvas(rng.choice([6_000, 9_000, 16_383, 2**24]))


@cache
def _plain(side: int, lossless: bool) -> bytes:
    return encoded(Image.new("RGB", (side, side), "teal"), "WEBP", lossless=lossless, method=0)


def _large(rng: random.Random) -> bytes:
    return _plain(rng.choice([3_000, 5_000]), rng.random() < 0.5)


def _frames(rng: random.Random) -> bytes:
    small = _chunks(encoded(painted(rng, 16, 16), "WEBP"))[-1]
    count = rng.choice([2, 3_000, 20_000])
    return riff(extended(16, 16, 2), (b"ANIM", bytes(6)), *[_frame(16, 16, small)] * count)


def _metadata(rng: random.Random) -> bytes:
    picture = _chunks(encoded(painted(rng, 32, 32), "WEBP"))[-1]
    block = rng.choice([rng.randbytes(400), b"Exif\0\0MM\0*" + rng.randbytes(90), bytes(2**20)])
    kind = rng.choice([b"EXIF", b"XMP ", b"ICCP", b"junk"])
    chunks = [(kind, block), picture] if kind == b"ICCP" else [picture, (kind, block)]
    return riff(extended(32, 32, 0x2C), *chunks)


def _spoilt(rng: random.Random) -> bytes:
    whole = encoded(painted(rng), "WEBP", lossless=rng.random() < 0.5)
    return flipped(rng, whole, rng.randint(1, 15), rng.choice([40, 0]))


KINDS: dict[str, Draw] = {
    "webp-canvas": _canvas,
    "webp-frames": _frames,
    "webp-large": _large,
    "webp-metadata": _metadata,
    "webp-spoilt": _spoilt,
}
