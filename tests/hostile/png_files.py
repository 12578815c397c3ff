"""PNG files that announce, compress or chain more than they should."""

import random
import struct
import zlib

from tests.hostile.drawn import Draw, encoded, flipped, painted, pixels

_MAGIC = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(width: int, height: int, depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def png(*chunks: bytes) -> bytes:
    return _MAGIC + b"".join(chunks) + chunk(b"IEND")


def zeros(size: int) -> bytes:
    """What `zlib.compress(bytes(size))` stands for, made without the zeros."""
    block = zlib.compressobj(9, wbits=-15)
    million = block.compress(bytes(2**20)) + block.flush(zlib.Z_FULL_FLUSH)
    rest = zlib.compressobj(9, wbits=-15)
    tail = rest.compress(bytes(size % 2**20)) + rest.flush()
    return b"\x78\xda" + million * (size // 2**20) + tail + struct.pack(">I", _adler(size))


def _adler(size: int) -> int:
    return (size % 65_521) << 16 | 1


def blank(width: int, height: int, depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    """A whole, valid picture of zeros."""
    bands = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    row = 1 + (width * depth * bands + 7) // 8
    palette = chunk(b"PLTE", bytes(6)) if colour == 3 else b""
    data = chunk(b"IDAT", zeros(row * height))
    return png(header(width, height, depth, colour, interlace), palette, data)


def _bomb(rng: random.Random) -> bytes:
    side = rng.choice([20_000, 40_000, 65_535, 2**31 - 1])
    depth, colour = rng.choice([(8, 2), (8, 6), (16, 6), (1, 0), (8, 3), (16, 0)])
    return png(header(side, side, depth, colour), chunk(b"IDAT", zlib.compress(bytes(1_000))))


def _large(rng: random.Random) -> bytes:
    width = rng.choice([4_000, 7_000, 8_900])
    return blank(width, rng.choice([width, width // 2]), *rng.choice(_KINDS))


_KINDS = ((8, 2), (8, 6), (16, 6), (16, 0), (8, 4), (8, 3), (1, 0), (16, 2))


def _interlaced(rng: random.Random) -> bytes:
    """Seven small pictures in one; zeros are valid for all of them."""
    side = rng.randint(8, 64)
    bits = sum(
        len(range(y, side, dy)) * (1 + 3 * len(range(x, side, dx)))
        for x, y, dx, dy in (
            *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
            *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
        )
        if len(range(x, side, dx))
    )
    return png(header(side, side, interlace=1), chunk(b"IDAT", zeros(bits)))


def _sixteen_bits(rng: random.Random) -> bytes:
    side = rng.randint(8, 90)
    rows = b"".join(b"\0" + rng.randbytes(6 * side) for _ in range(side))
    return png(header(side, side, 16, 2), chunk(b"IDAT", zlib.compress(rows)))


def _with_text(rng: random.Random, *chunks: bytes) -> bytes:
    side = rng.randint(16, 64)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels(rng, side, side))
    return png(header(side, side), *chunks, chunk(b"IDAT", zlib.compress(rows)))


def _text_bomb(rng: random.Random) -> bytes:
    """A few kilobytes that become a hundred megabytes."""
    packed = zeros(rng.choice([2, 30, 100]) * 2**20)
    bombs = {
        b"zTXt": b"Comment\0\0" + packed,
        b"iTXt": b"XML:com.adobe.xmp\0\1\0\0\0" + packed,
        b"iCCP": b"profile\0\0" + packed,
    }
    kind = rng.choice(sorted(bombs))
    return _with_text(rng, chunk(kind, bombs[kind]))


def _many_texts(rng: random.Random) -> bytes:
    word = chunk(b"tEXt", b"key\0" + rng.randbytes(8).hex().encode())
    return _with_text(rng, word * rng.choice([1_000, 50_000, 200_000]))


def _many_unknown(rng: random.Random) -> bytes:
    return _with_text(rng, chunk(b"prVt") * rng.choice([10_000, 400_000]))


def _many_pieces(rng: random.Random) -> bytes:
    """The same data, a byte or none in each chunk."""
    side = 40
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels(rng, side, side)))
    pieces = b"".join(chunk(b"IDAT", rows[i : i + 1]) for i in range(len(rows)))
    return png(header(side, side), chunk(b"IDAT") * rng.choice([0, 100_000]), pieces)


def _animated(rng: random.Random) -> bytes:
    """APNG, whose control chunks lie about frames and their places."""
    side, lie = 24, rng.choice(["none", "outside", "order", "count", "short"])
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels(rng, side, side)))
    frames = rng.choice([3, 2_000])
    parts = [chunk(b"acTL", struct.pack(">II", 2**31 if lie == "count" else frames, 0))]
    for number in range(frames):
        left = side if lie == "outside" else 0
        order = 2 * number + (5 if lie == "order" else 0)
        place = struct.pack(">IIIIIHHBB", max(order - 1, 0), side, side, left, 0, 1, 0, 0, 0)
        parts.append(chunk(b"fcTL", place[: 9 if lie == "short" else 26]))
        body = (
            chunk(b"IDAT", rows) if not number else chunk(b"fdAT", struct.pack(">I", order) + rows)
        )
        parts.append(body)
    return png(header(side, side), *parts)


def _palette(rng: random.Random) -> bytes:
    image = painted(rng).quantize(rng.choice([2, 17, 256]))
    alpha = rng.choice([0, 3, bytes(256), rng.randbytes(5), b"\xff" * 300])
    data = encoded(image, "PNG", transparency=alpha)
    return flipped(rng, data, rng.choice([0, 0, 3]), 60)


def _odd_header(rng: random.Random) -> bytes:
    sides = [rng.choice([0, 1, 30, 2**31, 2**32 - 1]) for _ in range(2)]
    depth, colour = rng.choice([0, 1, 3, 8, 16, 255]), rng.choice([0, 1, 2, 3, 4, 5, 6, 9])
    return png(header(*sides, depth, colour, rng.choice([0, 1, 7])), chunk(b"IDAT", zeros(3_000)))


def _exif(rng: random.Random) -> bytes:
    block = rng.choice([rng.randbytes(300), b"MM\0*" + rng.randbytes(40), b"", _tag_bomb(rng)])
    return _with_text(rng, chunk(b"eXIf", block))


def _tag_bomb(rng: random.Random) -> bytes:
    """A directory whose thousands of tags all point at one large piece."""
    tags, size = 30_000, 2**20
    start = 8 + 2 + 12 * tags + 4
    entries = b"".join(struct.pack("<HHII", tag, 7, size, start) for tag in range(tags))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", tags) + entries + bytes(4) + bytes(size)


KINDS: dict[str, Draw] = {
    "png-animated": _animated,
    "png-bomb": _bomb,
    "png-exif": _exif,
    "png-interlaced": _interlaced,
    "png-large": _large,
    "png-many-pieces": _many_pieces,
    "png-many-texts": _many_texts,
    "png-many-unknown": _many_unknown,
    "png-odd-header": _odd_header,
    "png-palette": _palette,
    "png-sixteen-bits": _sixteen_bits,
    "png-text-bomb": _text_bomb,
}
