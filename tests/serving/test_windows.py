"""From texts to tokens: windows, padding and anything that people type."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from contracts.bundle import TextPreprocessing
from contracts.errors import BundleInvalid
from serving.readers import Inputs, reader_of
from serving.windows import located, open_tokenizer, padded, windows

SMALL = TextPreprocessing(max_tokens=4, max_windows=3)


def words() -> bytes:
    vocabulary = {"[PAD]": 0, "[UNK]": 1} | {f"w{n}": n + 2 for n in range(50)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer.to_str().encode()


def test_a_long_text_has_several_windows_and_an_end() -> None:
    tokenizer = open_tokenizer(words(), SMALL)
    text = " ".join(f"w{n}" for n in range(20))
    found = windows(tokenizer, ["w0 w1", text], SMALL)
    assert [part.tolist() for part in found[0]] == [[2, 3]]
    assert [part.tolist() for part in found[1]] == [[2, 3, 4, 5], [6, 7, 8, 9], [10, 11, 12, 13]]


def test_tokens_are_located_in_the_text() -> None:
    found = located(open_tokenizer(words(), SMALL), "  w0 né w1 w2 w3", SMALL)
    assert found.ids.tolist() == [[2, 1, 3, 4], [5, 0, 0, 0]]
    assert found.spans[0].tolist() == [[2, 4], [5, 7], [8, 10], [11, 13]]
    assert found.spans[1].tolist() == [[14, 16], [0, 0], [0, 0], [0, 0]]


def test_windows_are_padded_to_the_longest() -> None:
    rows = padded([np.array([5, 6, 7]), np.array([8])], pad_id=0)
    assert rows.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert padded([], pad_id=0).shape == (0, 0)


def test_logits_of_windows_are_averaged() -> None:
    inputs = Inputs(np.zeros((4, 2), np.int64), np.array([1, 3]))
    logits = np.array([[1, 2], [3, 0], [0, 3], [3, 3]], np.float32)
    assert inputs.merged(logits).tolist() == [[1, 2], [2, 2]]


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_any_text_has_at_least_one_window(texts: list[str]) -> None:
    inputs = reader_of(SMALL, words()).read(texts)
    assert len(inputs.counts) == len(texts)
    assert (inputs.counts >= 1).all()
    assert inputs.counts.sum() == len(inputs.rows)


def test_half_a_character_is_no_reason_to_fail() -> None:
    assert reader_of(SMALL, words()).read(["\ud83d w1"]).counts.tolist() == [1]


def test_a_broken_tokenizer_is_told() -> None:
    with pytest.raises(BundleInvalid, match="tokenizer"):
        open_tokenizer(b"{}", SMALL)
    with pytest.raises(BundleInvalid, match=r"no tokenizer\.json"):
        reader_of(SMALL, None)


def test_a_picture_is_no_text() -> None:
    with pytest.raises(TypeError):
        reader_of(SMALL, words()).read([b"bytes"])
