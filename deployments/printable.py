"""Text from other people, made safe for a terminal."""

import unicodedata

_JOINERS = "\u200c\u200d"  # format characters that emoji and several scripts need
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def printable(value: object) -> str:
    """One line without escape sequences, bidi overrides or anything else that moves the cursor."""
    return "".join(
        " " if c in "\n\t" else c
        for c in str(value)
        if c in "\n\t" or c in _JOINERS or unicodedata.category(c) not in _HIDDEN
    )
