"""`exemplar evaluate`: a model on labelled examples that it has never seen."""

import tempfile
from pathlib import Path
from typing import Annotated

from rich.console import Console

from contracts.errors import InvalidRequest
from deployments.options import AsJson, LabelColumn, TextColumn, about, print_json


def evaluate(
    data: Annotated[Path, about("A folder of pictures by class, or a table of texts and labels.")],
    *,
    project: Annotated[str | None, about("Ask the project's live model.")] = None,
    bundle: Annotated[Path | None, about("Ask this bundle, a zip or its folder.")] = None,
    text_column: TextColumn = "",
    label_column: LabelColumn = "",
    json: AsJson = False,
) -> None:
    """Say how often a model is right on labelled examples.

    The model answers on this machine, through the code that serves it.

    Example: `exemplar evaluate test.csv --project spam`

    Example: `exemplar evaluate ./pictures --bundle bundle.zip`
    """
    if (project is None) == (bundle is None):
        raise InvalidRequest(
            "either a project or a bundle is needed", fix="use --project NAME or --bundle PATH"
        )
    from deployments.local_evaluation import evaluate_bundle
    from deployments.screens import show_evaluation

    console = Console(stderr=json)
    with tempfile.TemporaryDirectory() as scratch, console.status("asking the model") as spinner:
        if project is not None:
            bundle = downloaded(project, Path(scratch))
        assert bundle is not None
        result = evaluate_bundle(
            bundle,
            data.expanduser(),
            text_column,
            label_column,
            lambda share: spinner.update(f"asking the model: {share:.0%}"),
        )
    show_evaluation(console, result)
    if json:
        print_json(result.as_dict())


def downloaded(project: str, folder: Path) -> Path:
    """The live model's bundle as a zip in `folder`. Raises `NotFound` before training."""
    from deployments.client import Exemplar

    with Exemplar() as client:
        return client.download_bundle(project, folder / "bundle.zip")
