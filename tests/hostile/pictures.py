"""Uploads that are, or call themselves, pictures: every way in which one can be bad."""

import io
import random
import zipfile

from PIL import Image

from tests.hostile import bmp_files, gif_files, jpeg_files, png_files, tiff_files, webp_files
from tests.hostile.drawn import Draw, Hostile, drawn, encoded, flipped, painted, sound

_DISGUISED = (
    b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'aaaaaaaa'>]><svg>&a;</svg>",
    b"<!doctype html><script>alert(1)</script>",
    b"%PDF-1.7\n1 0 obj",
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    b"MZ\x90\0" + bytes(60),
    b"\x7fELF\2\1\1" + bytes(60),
    b"\0\0\0\x18ftypheic" + bytes(40),
    b"\0\0\0\x20ftypavif" + bytes(40),
    b"\0\0\0\x18ftypmp42" + bytes(40),
    b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40),
    b"8BPS\0\1" + bytes(40),
    b"DDS " + bytes(130),
    b"P6 9 9 255 " + bytes(300),
    b"#define a_width 9\n#define a_height 9\nstatic char a[] = {0x00};",
    b"\x1f\x8b\x08" + bytes(30),
    b"PAR1" + bytes(30),
    b"#!/bin/sh\nrm -rf /\n",
    b"GIF89a=1;alert(1)//",
    b"\xff\xd8\xff",
    b"BM",
    b"II*\0",
    b"RIFF\0\0\0\0WEBP",
)


def _truncated(rng: random.Random) -> bytes:
    data = sound(rng)
    return data[: rng.randrange(len(data))]


def _flipped(rng: random.Random) -> bytes:
    return flipped(rng, sound(rng), rng.randint(1, 40))


def _flipped_header(rng: random.Random) -> bytes:
    return flipped(rng, sound(rng), rng.randint(1, 8), 64)


def _joined(rng: random.Random) -> bytes:
    """The beginning of one picture with the end of another."""
    first, second = sound(rng), sound(rng)
    return first[: rng.randrange(len(first))] + second[rng.randrange(len(second)) :]


def _header_only(rng: random.Random) -> bytes:
    return sound(rng)[: rng.choice([0, 0, 1, 2, 4, 8, 12, 26, 34])]


def _noise(rng: random.Random) -> bytes:
    return rng.randbytes(rng.choice([1, 30, 5_000]))


def _disguised(rng: random.Random) -> bytes:
    return rng.choice(_DISGUISED) + rng.choice([b"", rng.randbytes(200)])


def _icon(rng: random.Random) -> bytes:
    return encoded(painted(rng, 64, 64), "ICO")


def _archive(rng: random.Random) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("../../etc/passwd", bytes(rng.choice([10, 10**6])))
    return buffer.getvalue()


def _polyglot(rng: random.Random) -> bytes:
    """A sound picture that is something else, too."""
    tail = rng.choice([_archive(rng), b"<script>alert(1)</script>", b"%PDF-1.7", sound(rng)])
    return sound(rng) + tail


def _thin(rng: random.Random) -> bytes:
    size = rng.choice(
        [(1, 1), (1, 65_500), (65_500, 1), (2_000, 8), (7, 7), (8, 161), (40_000, 30)]
    )
    kind = rng.choice(["PNG", "BMP", "TIFF", "GIF", "JPEG"])
    return encoded(Image.new(rng.choice(["L", "RGB"]), size), kind)


def _modes(rng: random.Random) -> bytes:
    mode = rng.choice(
        ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "F", "I"]
    )
    image = painted(rng)
    image = (
        image.convert("L").convert(mode)
        if mode in {"I;16", "F", "I"}
        else image.convert("RGB" if mode == "LAB" else mode)
    )
    return encoded(image, "TIFF" if mode not in {"1", "L", "LA", "P", "RGBA"} else "PNG")


def _sound(rng: random.Random) -> bytes:
    return sound(rng)


KINDS: dict[str, Draw] = {
    "archive": _archive,
    "disguised": _disguised,
    "flipped": _flipped,
    "flipped-header": _flipped_header,
    "header-only": _header_only,
    "icon": _icon,
    "joined": _joined,
    "modes": _modes,
    "noise": _noise,
    "polyglot": _polyglot,
    "sound": _sound,
    "thin": _thin,
    "truncated": _truncated,
    **bmp_files.KINDS,
    **gif_files.KINDS,
    **jpeg_files.KINDS,
    **png_files.KINDS,
    **tiff_files.KINDS,
    **webp_files.KINDS,
}


def hostile_pictures(count: int, seed: int = 0) -> list[Hostile]:
    """`count` files of every kind in turn; most are bad, some only look it."""
    return drawn(KINDS, count, seed)
