"""`exemplar compare`: model versions of a project side by side."""

from typing import Annotated

from rich.console import Console

from contracts.errors import InvalidRequest
from deployments.options import AsJson, Name, about, print_json


def compare(
    *runs: Annotated[
        str,
        about(
            "Model versions, beginnings of them, 'live', or 'draft' for the newest draft; the "
            "others are compared with the first."
        ),
    ],
    project: Name,
    json: AsJson = False,
) -> None:
    """Say what differs between trainings, and how much of it may be luck.

    Each is shown by its answers to the frozen test examples: accuracy with its 95 % interval,
    calibration, latency and size; then the examples that only one of the two has right, the
    classes that gain or lose, and what changed in the recipe. Accuracies are compared on the
    examples that both have answered.

    Example: `exemplar compare draft live --project my-cat`

    Example: `exemplar compare tuned-3f2a tuned-9c01 --project my-cat --json`
    """
    if len(runs) < 2:
        raise InvalidRequest(
            f"{len(runs)} model versions are named, two or more are needed",
            fix=f"for instance: exemplar compare draft live --project {project}",
        )
    from deployments.client import Exemplar
    from deployments.comparison_screen import show_comparison
    from deployments.model_runs import compare_runs

    console = Console(stderr=json)
    with Exemplar() as client, console.status("fetching evaluations"):
        comparison = compare_runs(client, project, runs)
    show_comparison(console, comparison)
    if json:
        print_json({"project": project} | comparison.as_dict())
