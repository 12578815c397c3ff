"""Words of every script, and that their places are right."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.wording import words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("You've won £2000!!", ["You've", "won", "£", "2000", "!!"]),
        ("l’été, snake_case", ["l’été", ",", "snake_case"]),
        ("नमस्ते दोस्त", ["नमस्ते", "दोस्त"]),
        ("今すぐ ガ", ["今", "す", "ぐ", "ガ"]),
        ("무료 상품", ["무료", "상품"]),
        ("👩\u200d👧 ❤️", ["👩\u200d👧", "❤️"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        (" \t\u200b\x00\ud83d", []),
        ("", []),
    ],
)
def test_words_of_every_script_are_found(text: str, words: list[str]) -> None:
    assert [word.text for word in words_of(text)] == words


@given(st.text())
def test_words_stand_where_they_say_and_never_overlap(text: str) -> None:
    before = 0
    for word in words_of(text):
        assert before <= word.start < word.end
        assert text[word.start : word.end] == word.text
        before = word.end
