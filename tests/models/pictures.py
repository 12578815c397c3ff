"""Pictures that a small network can learn in seconds: scikit-learn's digits, written as PNG."""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def write_digits(
    folder: Path, count: int, classes: int = 10, side: int = 64
) -> tuple[list[Path], list[int]]:
    """Write the first `count` digits below `classes`, `side` px square, as grey PNGs."""
    digits = load_digits()
    chosen = np.flatnonzero(digits.target < classes)[:count]
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{index:04d}" for index in chosen]
    for index, path in zip(chosen, paths, strict=True):
        grey = (digits.images[index] * (255 / 16)).astype(np.uint8)
        Image.fromarray(grey).resize((side, side), Image.Resampling.NEAREST).save(path, "PNG")
    return paths, digits.target[chosen].tolist()
