"""Texts as people, machines and attackers write them."""

import random
from typing import Final

_PIECES: Final = (
    "rain and wind by the coast ",
    "😀👩‍👩‍👧‍👦🏳️‍🌈",
    "مرحبا بالعالم ",
    "日本語の文章",
    "a\u202eb\u2066c\u200d ",
    "z" + "\u0335\u0489" * 40,
    "\0\x01\x1b[2J",
    "\ud83d",
    "\udce9x",
    "\ufeff\ufffe\uffff",
    "\u2028\u2029\x85\x0b\x0c",
    "<script>alert(1)</script>",
    "=cmd|'/c calc'!A0",
    "ﷺ",
    "\U0010ffff\U000e0041",
    "İıſßΣς",
    "[CLS] [SEP] [PAD] [MASK] ##ing <s> </s>",
    "9" * 50,
    "'’ʼ" * 20,
    "\t\n\r ",
)


def text(rng: random.Random) -> str:
    """From nothing up to a hundred thousand characters and more."""
    piece = "".join(rng.choice(_PIECES) for _ in range(rng.choice([1, 1, 3])))
    return piece * rng.choice([1, 1, 1, 20, 20_000 // max(len(piece), 1), 200_000 // len(piece)])
