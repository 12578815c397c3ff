"""`exemplar feedback`: giving answers their right labels, and looking at those given."""

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from rich.console import Console

from contracts.errors import ExemplarError, InvalidRequest
from contracts.manifest import Kind
from deployments.options import FAILED, AsJson, Examples, Name, about, print_json

if TYPE_CHECKING:
    from deployments.client import Exemplar

_SHOWN = 60  # characters of a text


def feedback(
    project: Name,
    *examples: Examples,
    label: Annotated[str, about("The class that they are really of.")] = "",
    request: Annotated[
        str, about("A request to the endpoint, by its id, where the project keeps them.")
    ] = "",
    take_back: Annotated[
        str, about("Forget the label of this example, by the SHA-256 that the list shows.")
    ] = "",
    json: AsJson = False,
) -> int:
    """Give examples their right label for the next training, or list what was given.

    A label replaces what the data set or an earlier one says of the same example.
    `exemplar train --project my-cat` trains with it. A text `-` stands for the lines of the
    standard input.

    Example: `exemplar feedback my-cat photo.jpg --label cat`

    Example: `exemplar feedback spam "You have won a prize" --label spam`

    Example: `exemplar feedback my-cat`
    """
    from deployments.client import Exemplar

    with Exemplar() as client:
        if take_back:
            return _told(client.take_back_feedback(project, take_back), json)
        if request:
            told = client.give_feedback(project, None, _needed(label), request_id=request)
            return _told(told, json)
        if examples:
            return _given(client, project, examples, _needed(label), is_json=json)
        return _listed(client.feedback(project), json)


def _needed(label: str) -> str:
    if not label:
        raise InvalidRequest("no label is given", fix="add the right class, such as --label cat")
    return label


def _given(
    client: "Exemplar", project: str, examples: tuple[str, ...], label: str, *, is_json: bool
) -> int:
    from deployments.screens import say, show_error

    kind = Kind(client.details(project)["kind"])
    console, answers = Console(stderr=is_json), []
    for example in _each(examples, kind):
        try:
            answer = client.give_feedback(project, example, label)
        except ExemplarError as error:
            answer = error.as_dict()
            show_error(Console(stderr=True), error)
        else:
            say(console, f"{example[:_SHOWN]}: {answer['label']}")
        answers.append({"text" if kind is Kind.TEXT else "file": example} | answer)
    kept = [answer for answer in answers if "error" not in answer]
    if kept:
        say(console, _count(kept[-1]))
        if kept[-1]["training"]:
            say(console, "that is enough for a training, which starts by itself")
        else:
            say(console, f"train with them: exemplar train --project {project}")
    if is_json:
        print_json({"project": project, "examples": answers})
    return 0 if len(kept) == len(answers) else FAILED


def _each(examples: tuple[str, ...], kind: Kind) -> Iterator[str]:
    for example in examples:
        if example == "-" and kind is Kind.TEXT:
            yield from (line.rstrip("\n") for line in sys.stdin if line.strip())
        else:
            yield example


def _told(answer: dict[str, Any], is_json: bool) -> int:
    from deployments.screens import say

    print_json(answer) if is_json else say(Console(), _count(answer))
    return 0


def _listed(found: dict[str, Any], is_json: bool) -> int:
    from deployments.screens import say, show_table

    if is_json:
        print_json(found)
        return 0
    console = Console()
    say(console, _count(found))
    rows = [
        (
            time.strftime("%Y-%m-%d %H:%M", time.localtime(one["at"])),
            one["label"],
            one["answered"] or "–",
            " ".join(one["text"].split())[:_SHOWN] or one["sha256"][:12],
        )
        for one in found["examples"]
    ]
    if rows:
        show_table(console, ("given", "label", "answered", "example"), rows)
    return 0


def _count(answer: dict[str, Any]) -> str:
    return f"{answer['feedback']:,} examples with feedback, {answer['new']:,} not learnt yet"
