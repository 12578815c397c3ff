"""`exemplar suggest`: which examples without labels to label next."""

import tempfile
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.progress import Progress

from contracts.errors import InvalidRequest
from deployments.evaluate_command import downloaded
from deployments.options import AsJson, TextColumn, about, print_json


def suggest(
    data: Annotated[Path, about("A folder of pictures, or a table of texts, without labels.")],
    *,
    project: Annotated[str | None, about("Ask the project's live model.")] = None,
    bundle: Annotated[Path | None, about("Ask this bundle, a zip or its folder.")] = None,
    count: Annotated[int, about("How many to name, 10 by default.")] = 10,
    text_column: TextColumn = "",
    json: AsJson = False,
) -> None:
    """Say which examples to label next: those that would teach the model most.

    It names examples that the model is unsure about, that are typical of many, and that differ from
    each other. The model answers on this machine, and nothing is sent.

    Example: `exemplar suggest ./unlabelled --project my-cat`

    Example: `exemplar suggest messages.csv --project spam --count 20`
    """
    if (project is None) == (bundle is None):
        raise InvalidRequest(
            "either a project or a bundle is needed", fix="use --project NAME or --bundle PATH"
        )
    from deployments.screens import show_suggestions
    from deployments.suggestions import suggest_from

    console = Console(stderr=json)
    with tempfile.TemporaryDirectory() as scratch:
        if project is not None:
            bundle = downloaded(project, Path(scratch))
        assert bundle is not None
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("looking at examples", total=None)
            result = suggest_from(
                bundle,
                data.expanduser(),
                count,
                text_column,
                lambda done, total: bar.update(task, completed=done, total=total),
            )
    show_suggestions(console, result)
    if json:
        print_json(result.as_dict())
