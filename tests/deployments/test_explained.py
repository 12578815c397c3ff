"""An explanation as people see it in a terminal."""

import io
from typing import Any

from rich.console import Console

from deployments.explained import marked, show_explained
from deployments.folder import read_folder
from tests.deployments.pictures import write_classes, write_picture


def explanation(text: str, weights: dict[str, float], **more: Any) -> dict[str, Any]:
    words = [
        {"text": word, "start": text.index(word), "end": text.index(word) + len(word), "weight": w}
        for word, w in sorted(weights.items(), key=lambda pair: -pair[1])
    ]
    return {
        "class": "spam",
        "probability": 0.9,
        "probability_without": 0.4,
        "words": words,
        "words_at_once": 1,
        "characters": len(text),
    } | more


def shown(text: str, found: dict[str, Any], *, is_terminal: bool = False) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=is_terminal, width=200)
    assert show_explained(console, text, {"explanation": found}, None) == {}
    return stream.getvalue()


def test_the_words_that_matter_are_marked_and_named() -> None:
    text = "Win a prize, [red]mum[/red]"
    found = explanation(text, {"prize": 1.0, "Win": 0.5, "a": 0.1, "mum": -0.7})
    assert [
        (text[span.start : span.end], span.style) for span in marked(text, found["words"]).spans
    ] == [("Win", "bold underline"), ("prize", "bold black on yellow"), ("mum", "italic cyan")]
    lines = shown(text, found).splitlines()
    assert lines[0].strip() == text
    assert "for spam: prize 1.00, Win 0.50 (90.0%, 40.0% without the first)" in lines[1]
    assert "against it: mum 0.70" in lines[1]


def test_a_text_cannot_steer_the_terminal() -> None:
    text = "\x1b[2Jwin\x1b]0;title\x07 \u202ewin"
    found = explanation(text, {"win": 1.0}, **{"class": "\x1b[31mspam"})
    printed = shown(text, found, is_terminal=True)
    assert "\x1b[2J" not in printed
    assert "\x1b]0" not in printed
    assert "\x1b[31m" not in printed
    assert "\u202e" not in printed


def test_a_long_text_is_cut_and_weighed_by_groups() -> None:
    text = "first " + "filler " * 1_000 + "last"
    found = explanation(text, {"first": 1.0, "last": 0.9}, words_at_once=6)
    printed = shown(text, found)
    assert len(printed) < 2_500
    assert "last 0.90" in printed
    assert "6 words at a time" in printed


def test_nothing_in_particular_is_said_to_be_so() -> None:
    assert "no word speaks for spam more than others" in shown("a", explanation("a", {"a": 0.0}))


def test_a_drawn_explanation_is_not_learnt_from(tmp_path: Any) -> None:
    write_classes(tmp_path, 2)
    write_picture(tmp_path / "cat" / "0.explained.png", seed=99)
    found = read_folder(tmp_path)
    assert len(found.files) == 4
    assert [skipped.name for skipped in found.skipped] == ["cat/0.explained.png"]
