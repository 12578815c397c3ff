"""What a text is: its length, and which others are the same but for trifles."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class TextFacts:
    """One text; those with the same `likeness` differ in case, numbers, signs or spaces only."""

    characters: int
    words: int
    likeness: str


def inspect_text(text: str) -> TextFacts:
    """Measure one text."""
    plain = _NUMBER.sub("0", unicodedata.normalize("NFKC", text).casefold())
    words = _WORD.findall(plain)
    key = " ".join(words) or text
    digest = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
    return TextFacts(len(text), len(words), digest)


def same_likeness(facts: Sequence[TextFacts]) -> list[list[int]]:
    """Indices of texts that are alike, in groups of two and more."""
    groups: dict[str, list[int]] = {}
    for index, found in enumerate(facts):
        groups.setdefault(found.likeness, []).append(index)
    return [members for members in groups.values() if len(members) > 1]
