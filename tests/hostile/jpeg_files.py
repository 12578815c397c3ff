"""JPEG files with odd colours, odd coding, broken metadata and endless scans."""

import random
import struct

from PIL import Image

from tests.hostile.drawn import Draw, encoded, flipped, painted, pixels


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def with_segments(data: bytes, *segments: bytes) -> bytes:
    """Put segments right behind the beginning."""
    return data[:2] + b"".join(segments) + data[2:]


def _jpeg(rng: random.Random, **options: object) -> bytes:
    return encoded(painted(rng), "JPEG", **options)


def resized(data: bytes, width: int, height: int) -> bytes:
    """Announce other sides than there is data for."""
    for marker in (b"\xff\xc0", b"\xff\xc2"):
        if (at := data.find(marker)) >= 0:
            return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]
    return data


def _cmyk(rng: random.Random) -> bytes:
    data = encoded(Image.fromarray(pixels(rng, bands=4), "CMYK"), "JPEG")
    ycck = data.find(b"Adobe")
    if rng.random() < 0.5 and ycck >= 0:  # its last byte says how the colours are stored
        data = data[: ycck + 11] + bytes([rng.choice([1, 2, 9])]) + data[ycck + 12 :]
    return data


def _arithmetic(rng: random.Random) -> bytes:
    """The marker of another coding before data of the usual one."""
    coding = bytes([0xFF, rng.choice([0xC1, 0xC3, 0xC5, 0xC9, 0xCA, 0xCB, 0xCD, 0xCF])])
    return _jpeg(rng).replace(b"\xff\xc0", coding, 1)


def scans(data: bytes, times: int) -> bytes:
    """Repeat the last scan of a progressive picture."""
    last = data.rfind(b"\xff\xda")
    return data[:-2] + data[last:-2] * times + b"\xff\xd9"


def _scan_bomb(rng: random.Random) -> bytes:
    width, height = rng.choice([(64, 64), (3_000, 3_000), (60_000, 1_400), (60_000, 1_400)])
    small = encoded(Image.new("L", (16, 16), 99), "JPEG", progressive=True)
    return scans(resized(small, width, height), rng.choice([20, 2_000, 60_000]))


def _sides(rng: random.Random) -> bytes:
    sides = [0, 1, 17, 65_500, 65_535]
    return resized(_jpeg(rng, progressive=rng.random() < 0.5), rng.choice(sides), rng.choice(sides))


def _large(rng: random.Random) -> bytes:
    mode, progressive = rng.choice(["RGB", "L", "CMYK"]), rng.random() < 0.5
    side = rng.choice([4_000, 9_400])
    whole = encoded(Image.new(mode, (64, 64)), "JPEG", progressive=progressive, subsampling=0)
    return resized(whole, side, side)


def _exif(rng: random.Random) -> bytes:
    """All orientations, valid and not, and blocks that are none."""
    orientation = rng.choice([*range(1, 9), 0, 9, 65_535])
    exif = Image.Exif()
    exif[0x0112] = orientation
    block = rng.choice([exif.tobytes(), exif.tobytes(), _broken(rng, exif.tobytes())])
    return _jpeg(rng, exif=block)


def _broken(rng: random.Random, block: bytes) -> bytes:
    directory = struct.pack("<H", 5_000) + b"".join(
        struct.pack("<HHII", tag, 7, 4_000, 8) for tag in range(5_000)
    )
    return rng.choice(
        [
            b"Exif\0\0" + rng.randbytes(500),
            b"Exif\0\0II*\0\x08\0\0\0" + rng.randbytes(100),
            b"Exif\0\0II*\0\xff\xff\xff\xff",
            b"Exif\0\0II*\0\x08\0\0\0" + directory[:60_000],
            flipped(rng, block, 5),
        ]
    )


def _profile(rng: random.Random) -> bytes:
    """An ICC profile in many parts, whole, missing or repeated."""
    count = rng.choice([1, 60, 80])
    parts = [
        segment(0xE2, b"ICC_PROFILE\0" + bytes([(n % 255) + 1, count]) + rng.randbytes(9) * 7_000)
        for n in range(count)
    ]
    return with_segments(_jpeg(rng), *parts[: rng.randint(1, count)])


def _segments(rng: random.Random) -> bytes:
    one = segment(rng.choice([0xE0, 0xE1, 0xED, 0xEE, 0xFE]), rng.randbytes(rng.choice([0, 4, 40])))
    return with_segments(_jpeg(rng), one * rng.choice([10, 100_000]))


def _photoshop(rng: random.Random) -> bytes:
    block = b"Photoshop 3.0\0" + b"8BIM" + rng.randbytes(60)
    return with_segments(_jpeg(rng), segment(0xED, block), segment(0xED, block))


def _several(rng: random.Random) -> bytes:
    """MPO: several pictures in one file, and headers that lie about them."""
    data = encoded(
        painted(rng), "MPO", save_all=True, append_images=[painted(rng) for _ in range(3)]
    )
    return flipped(rng, data, rng.choice([0, 4, 12]), 200)


def _tables(rng: random.Random) -> bytes:
    data = bytearray(_jpeg(rng))
    for marker in (b"\xff\xc4", b"\xff\xdb", b"\xff\xda"):
        at = data.find(marker)
        for _ in range(3):
            data[at + 2 + rng.randrange(12)] = rng.randrange(256)
    return bytes(data)


def _spoilt(rng: random.Random) -> bytes:
    return flipped(rng, _jpeg(rng, progressive=rng.random() < 0.5), rng.randint(1, 20))


KINDS: dict[str, Draw] = {
    "jpeg-arithmetic": _arithmetic,
    "jpeg-cmyk": _cmyk,
    "jpeg-exif": _exif,
    "jpeg-large": _large,
    "jpeg-photoshop": _photoshop,
    "jpeg-profile": _profile,
    "jpeg-scan-bomb": _scan_bomb,
    "jpeg-segments": _segments,
    "jpeg-several": _several,
    "jpeg-sides": _sides,
    "jpeg-spoilt": _spoilt,
    "jpeg-tables": _tables,
}
