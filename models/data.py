"""Training examples as batches: pictures from a file they were decoded into once, or tokens."""

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from contracts.bundle import Preprocessing, TextPreprocessing
from models.torchlibs import torch
from serving.preprocess import crop, decode
from serving.readers import Source
from serving.windows import open_tokenizer, padded, windows

_CHUNK = 256  # pictures in flight while decoding
_TEXTS_AT_ONCE = 4_096
_POOLED = 50  # batches

# (n, size, size, 3) uint8 or (n, tokens) int64, and (n,) int64
Batch = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Examples on this machine and their class indices. Test examples never come here."""

    train_sources: Sequence[Source]  # files of pictures, or texts
    train_labels: Sequence[int]
    validation_sources: Sequence[Source]
    validation_labels: Sequence[int]
    classes: tuple[str, ...]
    tokenizer: Path | None = None  # of texts


class ExampleSet(torch.utils.data.Dataset[Batch], ABC):
    """Examples with labels; indexed by a list of rows, it gives a whole batch at once."""

    def __init__(self, labels: Sequence[int]) -> None:
        """Take one class index for each example."""
        self.labels = torch.tensor(labels, dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: list[int]) -> Batch:
        return self.examples(rows), self.labels[rows]

    @abstractmethod
    def examples(self, rows: list[int]) -> torch.Tensor:
        """Return the rows' examples as one tensor."""

    @property
    def lengths(self) -> NDArray[np.int64] | None:
        """How long each example is, where batches of like length are faster."""
        return None


class PictureSet(ExampleSet):
    """Decoded pictures."""

    def __init__(self, pixels: NDArray[np.uint8], labels: Sequence[int]) -> None:
        """Take `(n, size, size, 3)` uint8, usually a memory map, and n labels."""
        super().__init__(labels)
        self.pixels = pixels

    @override
    def examples(self, rows: list[int]) -> torch.Tensor:
        return torch.from_numpy(self.pixels[rows])


class TokenSet(ExampleSet):
    """Texts as tokens; of a long one only its first window is learnt from."""

    def __init__(
        self, tokens: Sequence[NDArray[np.int64]], labels: Sequence[int], pad_id: int
    ) -> None:
        """Take each text's tokens, `(length,)`, and n labels."""
        super().__init__(labels)
        self.tokens, self.pad_id = tokens, pad_id

    @override
    def examples(self, rows: list[int]) -> torch.Tensor:
        return torch.from_numpy(padded([self.tokens[row] for row in rows], self.pad_id))

    @property
    @override
    def lengths(self) -> NDArray[np.int64]:
        return np.array([len(tokens) for tokens in self.tokens], np.int64)


class EpochBatches(torch.utils.data.Sampler[list[int]]):
    """Rows in batches, in an order that depends on seed and epoch alone.

    A resumed run therefore sees what the uninterrupted one would have seen.
    """

    def __init__(
        self,
        rows: int,
        batch_size: int,
        seed: int,
        *,
        shuffle: bool,
        lengths: NDArray[np.int64] | None = None,
    ) -> None:
        """Deal `rows` examples; the last batch of an epoch may be smaller.

        With `lengths`, shuffled examples are sorted by length within every `_POOLED` batches, so
        that little of a batch is padding.
        """
        self.rows, self.batch_size, self.seed, self.shuffle = rows, batch_size, seed, shuffle
        self.lengths = lengths
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the coming epoch; Lightning calls this."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        order = np.arange(self.rows)
        if not self.shuffle:
            yield from self._cut(order)
            return
        generator = np.random.default_rng((self.seed, self.epoch))
        order = generator.permutation(self.rows)
        if self.lengths is None:
            yield from self._cut(order)
            return
        pool = _POOLED * self.batch_size
        parts = [order[start : start + pool] for start in range(0, self.rows, pool)]
        ordered = [part[np.argsort(self.lengths[part], kind="stable")] for part in parts]
        *whole, last = self._cut(np.concatenate(ordered))
        yield from (whole[index] for index in generator.permutation(len(whole)))
        yield last  # the only one that may be smaller, which others count on

    def _cut(self, order: NDArray[np.int64]) -> Iterator[list[int]]:
        for start in range(0, self.rows, self.batch_size):
            yield order[start : start + self.batch_size].tolist()

    def __len__(self) -> int:
        return -(-self.rows // self.batch_size)


def batches(
    examples: ExampleSet, batch_size: int, seed: int = 0, *, shuffle: bool = False
) -> "torch.utils.data.DataLoader[Batch]":
    """Return a loader of `Batch`. Rows come from memory: worker processes would not help."""
    lengths = examples.lengths if shuffle else None
    sampler = EpochBatches(len(examples), batch_size, seed, shuffle=shuffle, lengths=lengths)
    return torch.utils.data.DataLoader(examples, sampler=sampler, batch_size=None)


def tokenised(
    texts: Sequence[str], labels: Sequence[int], tokenizer: Path, preprocessing: TextPreprocessing
) -> TokenSet:
    """Cut texts into tokens as serving does."""
    opened = open_tokenizer(tokenizer.read_bytes(), preprocessing)
    tokens: list[NDArray[np.int64]] = []
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        found = windows(opened, texts[start : start + _TEXTS_AT_ONCE], preprocessing)
        tokens += [parts[0] for parts in found]
    return TokenSet(tokens, labels, preprocessing.pad_id)


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
