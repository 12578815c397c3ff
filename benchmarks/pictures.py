"""Folders of pictures, divided at random for measurements."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from contracts.limits import VALIDATION_SHARE

TEST_SHARE = 0.30
TRAIN, VALIDATION, TEST = range(3)


@dataclass
class Pictures:
    """A folder per class; `part` says what each picture is for."""

    name: str
    paths: list[Path]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    part: NDArray[np.int64]

    @classmethod
    def read(cls, folder: Path, seed: int) -> Self:
        """Split every class; the product's own splitter also keeps near copies together."""
        classes = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))
        paths = [path for name in classes for path in sorted((folder / name).iterdir())]
        labels = np.array([classes.index(path.parent.name) for path in paths])
        part = np.full(len(paths), TRAIN)
        random = np.random.default_rng(seed)
        for index in range(len(classes)):
            rows = random.permutation(np.flatnonzero(labels == index))
            test = round(TEST_SHARE * len(rows))
            validation = max(1, round(VALIDATION_SHARE * (len(rows) - test)))
            part[rows[:test]] = TEST
            part[rows[test : test + validation]] = VALIDATION
        return cls(folder.name, paths, labels, classes, part)

    def of(self, part: int) -> tuple[list[Path], list[int]]:
        """Return a part's files and labels."""
        rows = np.flatnonzero(self.part == part)
        return [self.paths[row] for row in rows], self.labels[rows].tolist()
