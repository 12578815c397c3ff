"""What the generators share: a file, sound pictures to spoil, and ways to spoil them."""

import io
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

Draw = Callable[[random.Random], bytes]
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")


@dataclass(frozen=True, slots=True)
class Hostile:
    """One generated file; `kind` and `number` with the seed say how to make it again."""

    kind: str
    number: int
    data: bytes

    @property
    def id(self) -> str:
        return f"{self.kind}-{self.number}"


def drawn(kinds: dict[str, Draw], count: int, seed: int) -> list[Hostile]:
    """`count` files, every kind in turn; the same seed gives the same bytes."""
    names = sorted(kinds)
    found = []
    for index in range(count):
        kind, number = names[index % len(names)], index // len(names)
        rng = random.Random(f"{seed}/{kind}/{number}")
        found.append(Hostile(kind, number, kinds[kind](rng)))
    return found


def pixels(rng: random.Random, width: int = 0, height: int = 0, bands: int = 3) -> Any:
    """A smooth random picture, `(height, width, bands)` uint8."""
    noise = np.frombuffer(rng.randbytes(6 * 6 * bands), np.uint8).reshape(6, 6, bands)
    size = (width or rng.randint(24, 140), height or rng.randint(24, 140))
    planes = [Image.fromarray(noise[..., band]) for band in range(bands)]
    return np.stack([np.asarray(p.resize(size, Image.Resampling.BICUBIC)) for p in planes], -1)


def painted(rng: random.Random, width: int = 0, height: int = 0) -> Image.Image:
    return Image.fromarray(pixels(rng, width, height))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def sound(rng: random.Random, kinds: Sequence[str] = FORMATS) -> bytes:
    """A picture that nothing is wrong with."""
    return encoded(painted(rng), rng.choice(kinds))


def flipped(rng: random.Random, data: bytes, flips: int, within: int = 0) -> bytes:
    """Some bits turned over, in the first `within` bytes if given."""
    spoilt = bytearray(data)
    for _ in range(flips if data else 0):
        spoilt[rng.randrange(min(within or len(data), len(data)))] ^= 1 << rng.randrange(8)
    return bytes(spoilt)
