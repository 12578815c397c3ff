"""The words by which a class is told from the others."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

_WORD = re.compile(r"[^\W\d_]{2,}")
_PRIOR: Final = 500.0  # words of background that every class's count is mixed with


def telling_words(
    texts: Sequence[str], labels: Sequence[int], classes: int, top: int = 10
) -> list[list[str]]:
    """Return each class's most telling words, the strongest first.

    By the log-odds of a word inside and outside of the class over its standard error, with the
    words of all classes as the prior: rare words do not win by chance (Monroe et al. 2008,
    "Fightin' Words", eq. 22).
    """
    counts = [Counter[str]() for _ in range(classes)]
    for text, label in zip(texts, labels, strict=True):
        counts[label].update(set(_WORD.findall(text.casefold())))  # once a text: no spam by one row
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    everything = max(total.total(), 1)
    prior = {word: _PRIOR * number / everything for word, number in total.items()}
    return [_strongest(count, total, prior, top) for count in counts]


def _strongest(
    inside: Counter[str], total: Counter[str], prior: dict[str, float], top: int
) -> list[str]:
    in_words, out_words = inside.total(), total.total() - inside.total()

    def score(word: str) -> float:
        a, b = inside[word] + prior[word], total[word] - inside[word] + prior[word]
        odds_in = math.log(a / max(in_words + _PRIOR - a, 1e-9))
        odds_out = math.log(b / max(out_words + _PRIOR - b, 1e-9))
        return (odds_in - odds_out) / math.sqrt(1 / a + 1 / b)

    scored = sorted(((score(word), word) for word in inside), key=lambda pair: (-pair[0], pair[1]))
    return [word for strength, word in scored[:top] if strength > 0]
