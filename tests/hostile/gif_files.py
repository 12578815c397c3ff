"""GIF files with lying screens, endless frames and endless comments."""

import random
import struct

from tests.hostile.drawn import Draw, encoded, flipped, painted

_TRAILER = b";"


def gif(width: int, height: int, *blocks: bytes, flags: int = 0x80) -> bytes:
    """A screen with a palette of two colours, if `flags` says so."""
    palette = b"\0\0\0\xff\xff\xff" if flags & 0x80 else b""
    return (
        b"GIF89a" + struct.pack("<HHBBB", width, height, flags, 0, 0) + palette + b"".join(blocks)
    )


def frame(left: int, top: int, width: int, height: int, data: bytes = b"\x02\x4c\x01") -> bytes:
    place = struct.pack("<HHHHB", left, top, width, height, 0)
    return b"," + place + b"\x02" + data + b"\0"


def comment(size: int) -> bytes:
    return b"!\xfe" + (b"\xff" + b"x" * 255) * (size // 256) + b"\0"


def _screen(rng: random.Random) -> bytes:
    side = rng.choice([9_000, 30_000, 65_535])
    return gif(side, side, frame(0, 0, 1, 1), _TRAILER)


def _outside(rng: random.Random) -> bytes:
    far = rng.choice([100, 65_535])
    return gif(10, 10, frame(far, far, rng.choice([1, 65_535]), 9), _TRAILER)


def _frames(rng: random.Random) -> bytes:
    side = rng.randint(8, 40)
    count = rng.choice([2, 3_000, 50_000])
    whole = encoded(painted(rng, side, side).quantize(4), "GIF")
    return whole[:-1] + frame(0, 0, 1, 1) * count + _TRAILER


def _comments(rng: random.Random) -> bytes:
    whole = encoded(painted(rng).quantize(8), "GIF")
    extra = (
        comment(rng.choice([10_000, 5 * 2**20])) if rng.random() < 0.5 else b"!\xfe\1x\0" * 200_000
    )
    at = 13 + 3 * 2 ** ((whole[10] & 7) + 1)
    return whole[:at] + extra + whole[at:]


def _extensions(rng: random.Random) -> bytes:
    bodies = [
        b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0",
        b"!\xf9\x04\x01\0\0\0\0",
        b"!\xf9\0",
        b"!\xff\0",
    ]
    many = b"".join(rng.choice(bodies) for _ in range(rng.choice([5, 2_000])))
    return gif(20, 20, many, frame(0, 0, 20, 20), _TRAILER)


def _code_size(rng: random.Random) -> bytes:
    data = bytes([rng.choice([0, 1, 9, 12, 13, 255])]) + b"\xff" + rng.randbytes(255)
    return gif(30, 30, b"," + struct.pack("<HHHHB", 0, 0, 30, 30, 0x40) + data + b"\0", _TRAILER)


def _large(rng: random.Random) -> bytes:
    """LZW of one colour: the first codes fill much, the rest is missing or there."""
    side = rng.choice([3_000, 8_000])
    codes = rng.randbytes(255) if rng.random() < 0.5 else b"\x84\x8f\xa9" * 85
    return gif(side, side, frame(0, 0, side, side, b"\xff" + codes[:255]), _TRAILER)


def _spoilt(rng: random.Random) -> bytes:
    whole = encoded(painted(rng).quantize(32), "GIF", save_all=True, append_images=[painted(rng)])
    return flipped(rng, whole, rng.randint(1, 12), rng.choice([30, 0]))


KINDS: dict[str, Draw] = {
    "gif-code-size": _code_size,
    "gif-comments": _comments,
    "gif-extensions": _extensions,
    "gif-frames": _frames,
    "gif-large": _large,
    "gif-outside": _outside,
    "gif-screen": _screen,
    "gif-spoilt": _spoilt,
}
