"""What a file's parts will ask of a decoder, counted on its bytes before any decoder sees them.

A JPEG of 300 kB can hold 30,000 passes over a large picture, a TIFF a million strips over one
place: minutes of work, of which neither size nor header tells.
"""

import re
import struct
from typing import Final

from contracts.errors import UnreadableExample

MAX_PASSES: Final = 100  # over a JPEG; usual are 1 and 10, and libtiff allows as many
MAX_PARTS: Final = 100_000  # segments, chunks, blocks, strips or tiles; usual are a few hundred

# Neither a byte that was stuffed, nor a restart, nor filling.
_MARKER: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_ALONE: Final = frozenset({0x01, 0xD8})  # markers without a length
_SCAN, _END = 0xDA, 0xD9
_OFFSETS: Final = frozenset({273, 324})  # the TIFF tags that list strips and tiles


class TooCostly(UnreadableExample):
    """Opening the picture would take far more time or memory than its looks are worth."""


def check_structure(data: bytes) -> int:
    """Return in how many passes a picture is stored: 1, more for some JPEGs.

    What is damaged passes here: decoders find that. Raises `TooCostly`.
    """
    if data.startswith(b"\xff\xd8"):
        return _jpeg_passes(data)
    if data.startswith(b"\x89PNG"):
        _check_chunks(data)
    elif data.startswith(b"GIF8"):
        _check_blocks(data)
    elif data[:2] in {b"II", b"MM"}:
        _check_directory(data)
    return 1


def _jpeg_passes(data: bytes) -> int:
    passes, parts, at = 0, 0, 2
    while found := _MARKER.search(data, at):
        marker, at, parts = data[found.end() - 1], found.end(), parts + 1
        if marker == _END:
            break
        passes += marker == _SCAN
        if passes > MAX_PASSES:
            raise TooCostly(
                f"the JPEG is stored in more than {MAX_PASSES} passes", fix="save it again"
            )
        _check_parts(parts)
        if marker not in _ALONE:
            at += int.from_bytes(data[at : at + 2], "big")
    return max(passes, 1)


def _check_chunks(data: bytes) -> None:
    parts, at = 0, 8
    while at < len(data):
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        parts += 1
        _check_parts(parts)


def _check_blocks(data: bytes) -> None:
    """Of a GIF up to its first frame: what lies behind that is never read."""
    parts, at = 0, 13 + _palette_bytes(data[10:11])
    while data[at : at + 1] == b"!":
        at += 2
        while size := int.from_bytes(data[at : at + 1], "big"):
            at += 1 + size
            parts += 1
            _check_parts(parts)
        at += 1
        parts += 1
        _check_parts(parts)


def _palette_bytes(flags: bytes) -> int:
    found = int.from_bytes(flags, "big")
    return 3 << (found % 8 + 1) if found & 0x80 else 0


def _check_directory(data: bytes) -> None:
    """Of the first picture in a TIFF; how many values a tag has stands before them."""
    order, is_big = ("<" if data[:1] == b"I" else ">"), data[2:3] == b"\x2b"
    try:
        if is_big:
            (at,) = struct.unpack_from(f"{order}Q", data, 8)
            (tags,) = struct.unpack_from(f"{order}Q", data, at)
            entry, at = struct.Struct(f"{order}HHQ8x"), at + 8
        else:
            (at,) = struct.unpack_from(f"{order}I", data, 4)
            (tags,) = struct.unpack_from(f"{order}H", data, at)
            entry, at = struct.Struct(f"{order}HHI4x"), at + 2
        _check_parts(tags)
        for number in range(tags):
            tag, _, values = entry.unpack_from(data, at + number * entry.size)
            if tag in _OFFSETS:
                _check_parts(values)
    except (struct.error, OverflowError):
        return  # cut off: there is no picture in it


def _check_parts(count: int) -> None:
    if count > MAX_PARTS:
        raise TooCostly(
            f"the picture's file consists of more than {MAX_PARTS:,} parts", fix="save it again"
        )
