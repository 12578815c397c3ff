"""Small pictures that differ from each other."""

import random
from pathlib import Path

from PIL import Image


def write_picture(path: Path, seed: int, size: int = 16) -> Path:
    """A noise picture in the format of the path's extension."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = random.Random(seed).randbytes(size * size * 3)
    Image.frombytes("RGB", (size, size), noise).save(path)
    return path


def write_classes(root: Path, per_class: int, classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    """`per_class` different pictures in a folder per class."""
    for number, name in enumerate(classes):
        for index in range(per_class):
            write_picture(root / name / f"{index}.png", seed=number * 10_000 + index)
    return root
