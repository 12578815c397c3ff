import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from deployments.printable import printable


@given(st.text())
def test_nothing_is_left_that_moves_the_cursor_or_cannot_be_encoded(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable() or all(
        unicodedata.category(c) in {"Zs", "Co", "Cn"} or c in "\u200c\u200d"
        for c in shown
        if not c.isprintable()
    )
    assert shown.encode().decode() == shown


def test_people_can_read_their_own_names() -> None:
    assert printable("Ĳsbär 👩\u200d🔬") == "Ĳsbär 👩\u200d🔬"
    assert printable("a\x1b[2Jb\u202ec\nd") == "a[2Jbc d"
