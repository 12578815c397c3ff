"""Leaving words out of a text, one after another (Li et al. 2016, "Understanding neural networks
through representation erasure").

A word is left out wherever it occurs: where it stands twice, either alone is hardly missed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from serving.windows import Located
from serving.wording import Word, words_of

MOST_ROWS: Final = (
    192  # windows asked about anew, up to 50 ms each; a longer text has groups of words
)


@dataclass(frozen=True, slots=True, eq=False)
class Omissions:
    """What is left out, group by group, of a text as the graph takes it."""

    words: list[Word]  # those that the graph sees
    groups: NDArray[np.int64]  # (words,): the group of each
    words_at_once: int  # in a group, 1 unless the text is long
    rows: NDArray[np.int64]  # (m, tokens): windows without a group
    row_groups: NDArray[np.int64]  # (m,)
    row_windows: NDArray[np.int64]  # (m,): which window it was

    @classmethod
    def of(cls, text: str, located: Located, pad_id: int) -> Self:
        """Plan all questions about one text; rows of one window are as long as it is."""
        words, owners = _owned(text, located)
        groups, at_once = _grouped(words, owners)
        token_groups = np.append(groups, -1)[owners]  # (windows, tokens), -1 is in none
        pairs = [
            (group, window)
            for window, row in enumerate(token_groups)
            for group in np.unique(row[row >= 0])
        ]
        rows = [
            _without(located.ids[window], token_groups[window] == group, pad_id)
            for group, window in pairs
        ]
        found = np.array(pairs, np.int64).reshape(-1, 2)
        return cls(
            words,
            groups,
            at_once,
            np.array(rows, np.int64).reshape(len(rows), located.ids.shape[1]),
            found[:, 0],
            found[:, 1],
        )

    def logits(
        self, whole: NDArray[np.float32], changed: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Without each group, `(groups, classes)`.

        `whole` is of the text's windows, `(windows, classes)`; `changed` of `rows`, `(m, classes)`.
        """
        groups = int(self.groups.max(initial=-1)) + 1
        sums = np.tile(whole.sum(axis=0), (groups, 1))
        np.add.at(sums, self.row_groups, changed - whole[self.row_windows])
        means: NDArray[np.float32] = (sums / len(whole)).astype(np.float32)
        return means


def _owned(text: str, located: Located) -> tuple[list[Word], NDArray[np.int64]]:
    """The words that have tokens, and each token's word, `(windows, tokens)`; -1 is none."""
    starts, ends = located.spans[..., 0], located.spans[..., 1]
    words = words_of(text[: ends.max(initial=0)])
    borders = np.array([(word.start, word.end) for word in words], np.int64).reshape(-1, 2)
    # By its last character: with some tokenizers the space before belongs to a token.
    owners = np.searchsorted(borders[:, 0], ends - 1, side="right") - 1
    is_inside = (ends > starts) & (owners >= 0)
    is_inside[is_inside] = ends[is_inside] <= borders[owners[is_inside], 1]
    seen, renumbered = np.unique(owners[is_inside], return_inverse=True)
    result = np.full(owners.shape, -1, np.int64)
    result[is_inside] = renumbered
    return [words[index] for index in seen], result


def _grouped(words: Sequence[Word], owners: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Each word's group, and how many neighbours are in one: equal words, unless they are many."""
    numbers: dict[str, int] = {}
    groups = np.array(
        [numbers.setdefault(word.text.casefold(), len(numbers)) for word in words], np.int64
    )
    if sum(len(np.unique(groups[row[row >= 0]])) for row in owners) <= MOST_ROWS:
        return groups, 1
    # A group that lies across the border of windows needs a row in both.
    at_once = -(-len(words) // (MOST_ROWS - len(owners)))
    return np.arange(len(words)) // at_once, at_once


def _without(
    ids: NDArray[np.int64], is_hidden: NDArray[np.bool_], pad_id: int
) -> NDArray[np.int64]:
    row = np.full_like(ids, pad_id)
    kept = ids[~is_hidden]
    row[: len(kept)] = kept
    return row
