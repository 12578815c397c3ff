"""From texts to the model's input. Training, draft and serving all use this code."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from contracts.bundle import TextPreprocessing
from contracts.errors import BundleInvalid

# No token of a real language is longer; what lies beyond the last window is not looked at.
_CHARACTERS_PER_TOKEN: Final = 32


@dataclass(frozen=True, slots=True, eq=False)
class Located:
    """One text's windows and where in it their tokens stand."""

    ids: NDArray[np.int64]  # (windows, tokens)
    spans: NDArray[np.int64]  # (windows, tokens, 2): characters from and to; equal for none


def open_tokenizer(data: bytes, preprocessing: TextPreprocessing) -> Tokenizer:
    """Open a `tokenizer.json` that cuts texts into windows. Raises `BundleInvalid`."""
    try:
        tokenizer = Tokenizer.from_buffer(data)
    except Exception as error:  # the library's errors share no public base class
        raise BundleInvalid(f"the tokenizer cannot be loaded: {error}") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(preprocessing.max_tokens)
    return tokenizer


def windows(
    tokenizer: Tokenizer, texts: Sequence[str], preprocessing: TextPreprocessing
) -> list[list[NDArray[np.int64]]]:
    """Token ids of each text's windows, one or more `(tokens,)` a text."""
    encoded = tokenizer.encode_batch_fast([_begun(text, preprocessing) for text in texts])
    return [
        [np.array(part.ids, np.int64) for part in (one, *one.overflowing)][
            : preprocessing.max_windows
        ]
        for one in encoded
    ]


def located(tokenizer: Tokenizer, text: str, preprocessing: TextPreprocessing) -> Located:
    """The windows of one text with their places, which take longer to find."""
    encoded = tokenizer.encode(_begun(text, preprocessing))
    parts = [encoded, *encoded.overflowing][: preprocessing.max_windows]
    ids = padded([np.array(part.ids, np.int64) for part in parts], preprocessing.pad_id)
    spans = np.zeros((*ids.shape, 2), np.int64)
    for row, part in zip(spans, parts, strict=True):
        row[: len(part.offsets)] = np.array(part.offsets, np.int64).reshape(-1, 2)
    return Located(ids, spans)


def padded(rows: Sequence[NDArray[np.int64]], pad_id: int) -> NDArray[np.int64]:
    """Join windows to `(n, tokens)`, as long as the longest."""
    result = np.full((len(rows), max(map(len, rows), default=0)), pad_id, np.int64)
    for row, ids in zip(result, rows, strict=True):
        row[: len(ids)] = ids
    return result


def _begun(text: str, preprocessing: TextPreprocessing) -> str:
    """As much as may be looked at. Half a surrogate pair, which JSON may carry, is no text."""
    longest = preprocessing.max_tokens * preprocessing.max_windows * _CHARACTERS_PER_TOKEN
    return text[:longest].encode("utf-8", "replace").decode()
