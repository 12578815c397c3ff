"""Training pictures: decoded once into a file, then read as batches; memory stays flat."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contracts.bundle import Preprocessing
from models.torchlibs import torch
from serving.preprocess import crop, decode

_CHUNK = 256  # pictures in flight while decoding

Batch = tuple[torch.Tensor, torch.Tensor]  # (n, size, size, 3) uint8 and (n,) int64


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Pictures on this machine and their class indices. Test pictures never come here."""

    train_paths: Sequence[Path]
    train_labels: Sequence[int]
    validation_paths: Sequence[Path]
    validation_labels: Sequence[int]
    classes: tuple[str, ...]


class PictureSet(torch.utils.data.Dataset[Batch]):
    """Pictures with labels; indexed by a list of rows, it gives a whole batch at once."""

    def __init__(self, pixels: NDArray[np.uint8], labels: Sequence[int]) -> None:
        """Take `(n, size, size, 3)` uint8, usually a memory map, and n labels."""
        self.pixels = pixels
        self.labels = torch.tensor(labels, dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: list[int]) -> Batch:
        return torch.from_numpy(self.pixels[rows]), self.labels[rows]


class EpochBatches(torch.utils.data.Sampler[list[int]]):
    """Rows in batches, in an order that depends on seed and epoch alone.

    A resumed run therefore sees what the uninterrupted one would have seen.
    """

    def __init__(self, rows: int, batch_size: int, seed: int, *, shuffle: bool) -> None:
        """Deal `rows` examples; the last batch of an epoch may be smaller."""
        self.rows, self.batch_size, self.seed, self.shuffle = rows, batch_size, seed, shuffle
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the coming epoch; Lightning calls this."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        order = np.arange(self.rows)
        if self.shuffle:
            order = np.random.default_rng((self.seed, self.epoch)).permutation(self.rows)
        for start in range(0, self.rows, self.batch_size):
            yield order[start : start + self.batch_size].tolist()

    def __len__(self) -> int:
        return -(-self.rows // self.batch_size)


def batches(
    pictures: PictureSet, batch_size: int, seed: int = 0, *, shuffle: bool = False
) -> "torch.utils.data.DataLoader[Batch]":
    """Return a loader of `Batch`. Rows come from a memory map: worker processes would not help."""
    sampler = EpochBatches(len(pictures), batch_size, seed, shuffle=shuffle)
    return torch.utils.data.DataLoader(pictures, sampler=sampler, batch_size=None)


def decoded(
    paths: Sequence[Path], preprocessing: Preprocessing, folder: Path, threads: int = 2
) -> NDArray[np.uint8]:
    """Decode pictures as serving does, into a file in `folder`; map it, `(n, size, size, 3)`.

    The file is named by the paths and the preprocessing, so a second run reuses it; paths must
    name content, as those of content-addressed objects do. Raises `UnreadableExample`.
    """
    target = folder / f"pixels-{_digest(paths, preprocessing)}.npy"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(f".{os.getpid()}.part")
        _decode_into(part, paths, preprocessing, threads)
        part.replace(target)
    # Mapped copy-on-write: torch wants writable memory, and the file must never change.
    pixels: NDArray[np.uint8] = np.load(target, mmap_mode="c")
    return pixels


def _decode_into(
    part: Path, paths: Sequence[Path], preprocessing: Preprocessing, threads: int
) -> None:
    shape = (len(paths), preprocessing.size, preprocessing.size, 3)
    rows = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(paths), _CHUNK):
            chunk = paths[start : start + _CHUNK]
            pictures = pool.map(
                lambda path: crop(decode(path, preprocessing), preprocessing), chunk
            )
            for row, picture in enumerate(pictures, start):
                rows[row] = picture
    rows.flush()


def _digest(paths: Sequence[Path], preprocessing: Preprocessing) -> str:
    identity = json.dumps([asdict(preprocessing), [str(path) for path in paths]])
    return hashlib.sha256(identity.encode()).hexdigest()[:24]
