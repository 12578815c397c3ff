"""What the commands share: exit codes, parameters and the one JSON object."""

import json
import sys
from typing import Annotated, Any

from cyclopts import Parameter

from contracts.errors import InvalidRequest

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130

AsJson = Annotated[
    bool,
    Parameter(
        "--json",
        negative="",
        show_default=False,
        help="Print one JSON object; all else goes to stderr.",
    ),
]
Name = Annotated[str, Parameter(help="The project, such as 'my-cat'.")]
JobId = Annotated[str | None, Parameter(help="The job's id, as `exemplar details` shows it.")]


def about(text: str) -> Parameter:
    """A parameter's line in the help; a flag has no `--no-` form and shows no default."""
    return Parameter(help=text, negative="", show_default=False)


def confirm(question: str, *, is_sure: bool, answer: str = "") -> None:
    """Ask the person at the terminal; `answer` is a word to type instead of y."""
    if is_sure:
        return
    if not sys.stdin.isatty():
        raise InvalidRequest("nobody is here to confirm this", fix="add --yes")
    told = input(f"{question} [{answer or 'y/N'}] ").strip()
    if told != answer if answer else told.lower() not in {"y", "yes"}:
        raise InvalidRequest("nothing was changed", fix=f"answer {answer or 'y'!r} to go on")


def print_json(document: dict[str, Any]) -> None:
    """ASCII only, so that no terminal's encoding can break it."""
    print(json.dumps(document, default=str))


Yes = Annotated[bool, about("Do not ask.")]
TextColumn = Annotated[
    str, about("The column of texts, by its name or number, where it is not found.")
]
LabelColumn = Annotated[
    str, about("The column of labels, by its name or number, where it is not found.")
]


def _no_option(_type: Any, value: str) -> None:
    """A lone `-` is an example; what else begins so is most likely a misspelt option."""
    if value.startswith("-") and value != "-" and not any(c.isspace() for c in value):
        raise ValueError(f"Unknown option: {value}. A text that begins so is read from a line of -")


Examples = Annotated[
    str,
    Parameter(
        help="Pictures' files; of a project of text, the texts.",
        negative="",
        show_default=False,
        allow_leading_hyphen=True,
        validator=_no_option,
    ),
]
