"""The words of a text, of any script, and their places in it."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

# One letter stands for each character's kind: w letter or digit, m mark that belongs to the one
# before, i ideograph or kana, which is a word of its own, ' apostrophe, s other sign.
_WORD: Final = re.compile(r"w[wm]*(?:'w[wm]*)*|im*|[s'm]+")
_APOSTROPHES: Final = "'’ʼ"
_JOINERS: Final = "\u200c\u200d"  # within emoji and the words of several scripts
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"})
_HANGUL: Final = range(0xAC00, 0xD7A4)  # as wide as ideographs, but written with spaces


@dataclass(frozen=True, slots=True)
class Word:
    """One word, or a run of signs; its place counts characters (Unicode code points)."""

    text: str
    start: int
    end: int


def words_of(text: str) -> list[Word]:
    """All of them, in the text's order; only what shows nothing is in none."""
    kinds = "".join(map(_kind, text))
    return [Word(text[m.start() : m.end()], *m.span()) for m in _WORD.finditer(kinds)]


def _kind(character: str) -> str:
    if character in _APOSTROPHES:
        return "'"
    category = unicodedata.category(character)
    if category[0] == "M" or character in _JOINERS:
        return "m"
    if category[0] in "LN" or character == "_":
        is_wide = unicodedata.east_asian_width(character) == "W" and ord(character) not in _HANGUL
        return "i" if is_wide else "w"
    return " " if category in _UNSEEN else "s"
