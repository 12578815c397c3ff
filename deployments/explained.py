"""What people see of an explanation: words marked in the terminal, or a picture beside theirs."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from contracts.errors import NotFound
from deployments.folder import EXPLAINED_SUFFIX
from deployments.printable import printable

_SIDE_PX = 448, 1_024  # least and most of the longer side
_MARKED = 0.4  # weights below it, of either sign, hardly count
_STRONG = 0.7
_TEXT_SHOWN = 2_000  # characters
_WORDS_LISTED = 8
_STYLES = {2: "bold black on yellow", 1: "bold underline", -1: "italic cyan", -2: "italic cyan"}


def show_explained(
    console: Console, example: str, answer: dict[str, Any], folder: Path | None
) -> dict[str, str]:
    """Show an answer's explanation, if it has one; return where its overlay was put, if it was."""
    explanation = answer.get("explanation")
    if explanation is None:
        return {}
    if "words" in explanation:
        _show_text(console, example, explanation)
        return {}
    target = write_overlay(Path(example), explanation, folder)
    line = f"  why {explanation['class']}: {target} ({_loss(explanation, 'the brightest part')})"
    console.print(Text(printable(line)), soft_wrap=True)
    return {"overlay": str(target)}


def write_overlay(picture: Path, explanation: dict[str, Any], folder: Path | None = None) -> Path:
    """Draw an answer's explanation over its picture, into a file beside it or in `folder`.

    Raises `NotFound` where the file cannot be written.
    """
    from contracts.bundle import Preprocessing
    from models.overlay import overlay
    from serving.preprocess import decode

    least, most = _SIDE_PX
    image = decode(picture, Preprocessing(resize=most))
    longer = max(image.size)
    scale = min(max(longer, least), most) / longer
    width, height = (max(round(side * scale), 1) for side in image.size)
    drawn = overlay(image.resize((width, height)), explanation["map"], explanation["box"])
    target = (folder or picture.parent) / f"{picture.stem}{EXPLAINED_SUFFIX}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        drawn.save(target)
    except OSError as error:
        raise NotFound(
            f"{str(target)!r} cannot be written: {error.strerror}",
            fix="name a folder with --overlays FOLDER",
        ) from error
    return target


def _show_text(console: Console, text: str, explanation: dict[str, Any]) -> None:
    """The text with its words marked, and the weightiest of them by name."""
    console.print(Text("  ").append(marked(text, explanation["words"])), soft_wrap=True)
    words: list[dict[str, Any]] = explanation["words"]
    name, at_once = explanation["class"], explanation["words_at_once"]
    if listed := _listed(words):
        line = f"for {name}: {listed} ({_loss(explanation, 'the first')})"
    else:
        line = f"no word speaks for {name} more than others"
    if against := _listed([{**word, "weight": -word["weight"]} for word in reversed(words)]):
        line += f"; against it: {against}"
    if at_once > 1:
        line += f"; a long text, weighed {at_once} words at a time"
    console.print(Text(f"  {printable(line)}"), soft_wrap=True)


def marked(text: str, words: Sequence[dict[str, Any]]) -> Text:
    """The text, cut where it is long; what speaks for the class is bold, what against it italic."""
    result, done = Text(), 0
    for word in sorted(words, key=lambda word: int(word["start"])):
        style = _STYLES.get(_strength(word["weight"]), "")
        if word["start"] >= _TEXT_SHOWN or not style:
            continue
        result.append(printable(text[done : word["start"]]))
        result.append(printable(text[word["start"] : word["end"]]), style)
        done = word["end"]
    result.append(printable(text[done : max(_TEXT_SHOWN, done)]))
    return result.append(" …") if len(text) > max(_TEXT_SHOWN, done) else result


def _strength(weight: float) -> int:
    size = (abs(weight) >= _MARKED) + (abs(weight) >= _STRONG)
    return size if weight > 0 else -size


def _listed(words: Sequence[dict[str, Any]]) -> str:
    """Each word once, with its weight, the first few that count."""
    return ", ".join(list(_named(words))[:_WORDS_LISTED])


def _named(words: Sequence[dict[str, Any]]) -> Iterator[str]:
    seen = set()
    for word in words:
        if word["weight"] >= _MARKED and word["text"].casefold() not in seen:
            seen.add(word["text"].casefold())
            yield f"{word['text']} {word['weight']:.2f}"


def _loss(explanation: dict[str, Any], part: str) -> str:
    before, after = explanation["probability"], explanation["probability_without"]
    return f"{before:.1%}, {after:.1%} without {part}"
