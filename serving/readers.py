"""How examples of each kind are read: from sources to the graph's input."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from contracts.bundle import TOKENIZER_FILE, Preprocessing, TextPreprocessing
from contracts.errors import BundleInvalid

if TYPE_CHECKING:
    from serving.windows import Located

Source = bytes | Path | str  # a picture's bytes or file; a text


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """Examples as the graph takes them; one may have several rows, whose logits are averaged."""

    rows: NDArray[np.float32] | NDArray[np.int64]  # (n, 3, size, size), or (n, tokens)
    counts: NDArray[np.int64]  # rows of each example

    def merged(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """The graph's output for rows, `(n, …)`, to that for examples."""
        if len(self.counts) == len(outputs):
            return outputs
        starts = np.concatenate([[0], np.cumsum(self.counts)[:-1]])
        sums = np.add.reduceat(outputs, starts, axis=0)
        counts = self.counts.reshape(-1, *[1] * (outputs.ndim - 1))
        merged: NDArray[np.float32] = (sums / counts).astype(np.float32)
        return merged


class Reader(Protocol):
    """Turns sources into a graph's input."""

    def read(self, sources: Sequence[Source]) -> Inputs:
        """Raises `UnreadableExample` for the first that cannot be read."""


def reader_of(
    preprocessing: Preprocessing | TextPreprocessing, tokenizer: bytes | None = None
) -> Reader:
    """The reader of a kind; each loads its own libraries only.

    Raises `BundleInvalid` for text without a tokenizer.
    """
    if isinstance(preprocessing, Preprocessing):
        return _Pictures(preprocessing)
    if tokenizer is None:
        raise BundleInvalid(f"the bundle has no {TOKENIZER_FILE}")
    return Texts(preprocessing, tokenizer)


class _Pictures:
    def __init__(self, preprocessing: Preprocessing) -> None:
        self._preprocessing = preprocessing

    def read(self, sources: Sequence[Source]) -> Inputs:
        from serving.preprocess import crop, decode, normalise

        pictures = []
        for source in sources:
            if isinstance(source, str):
                raise TypeError("a picture is given as bytes or as a file's path")
            pictures.append(crop(decode(source, self._preprocessing), self._preprocessing))
        rows = normalise(np.stack(pictures), self._preprocessing)
        return Inputs(rows, np.ones(len(pictures), np.int64))


class Texts:
    """Cut into tokens; a row for each window."""

    def __init__(self, preprocessing: TextPreprocessing, tokenizer: bytes) -> None:
        from serving.windows import open_tokenizer

        self._preprocessing = preprocessing
        self._tokenizer = open_tokenizer(tokenizer, self._preprocessing)

    def locate(self, text: str) -> "Located":
        """One text's tokens with their places in it."""
        from serving.windows import located

        return located(self._tokenizer, text, self._preprocessing)

    def read(self, sources: Sequence[Source]) -> Inputs:
        from serving.windows import padded, windows

        texts = []
        for source in sources:
            if not isinstance(source, str):
                raise TypeError("a text is given as a string")
            texts.append(source)
        found = windows(self._tokenizer, texts, self._preprocessing)
        rows = padded([part for parts in found for part in parts], self._preprocessing.pad_id)
        return Inputs(rows, np.array([len(parts) for parts in found], np.int64))
