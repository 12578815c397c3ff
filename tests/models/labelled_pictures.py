"""Pictures of known content for the tests of the data side, made here and now."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from contracts.identity import Project
from contracts.manifest import Example, Kind, Manifest, Split


def scene(seed: int, side: int = 96) -> Image.Image:
    """A smooth random picture; two seeds have nothing in common."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC)


def example(
    name: str, class_index: int, requested: Split | None = None, group: str = ""
) -> Example:
    """An example without a picture: its content hash follows from its name."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return Example(digest, class_index, name, 100, requested_split=requested, group=group)


def stored(path: Path, class_index: int, requested: Split | None = None) -> Example:
    """The example of a picture on disk."""
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return Example(digest, class_index, path.name, len(data), requested_split=requested)


def manifest(examples: Sequence[Example], classes: Sequence[str] = ("cat", "dog")) -> Manifest:
    return Manifest(Project("ann", "pets"), Kind.IMAGE, tuple(classes), tuple(examples))
