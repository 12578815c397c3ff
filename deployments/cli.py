"""The command `exemplar`. What a command needs is imported inside it, so that help is instant."""

import json as json_module
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console

from contracts.errors import ExemplarError, InvalidRequest, NotFound
from contracts.manifest import Kind
from deployments.approval_commands import approve, change
from deployments.aws_commands import deploy_app, destroy_app
from deployments.compare_command import compare
from deployments.delete_command import delete
from deployments.evaluate_command import evaluate
from deployments.feedback_command import feedback
from deployments.history_command import history
from deployments.local_commands import demo, down, open_page, status, up
from deployments.options import (
    FAILED,
    INTERRUPTED,
    WRONG_USAGE,
    AsJson,
    Examples,
    JobId,
    Name,
    about,
    print_json,
)
from deployments.suggest_command import suggest
from deployments.train_command import train
from deployments.usage_command import usage
from deployments.users_command import users_app

_SHOWN_CHARACTERS = 60  # of a text
_HERE = Path()

if TYPE_CHECKING:
    from deployments.client import Exemplar

app = App(
    name="exemplar",
    help="Labelled examples in, a private inference endpoint out.",
    help_epilogue="Start with `exemplar up`, then `exemplar train PICTURES --project my-cat`.",
    help_format="markdown",
    suppress_keyboard_interrupt=False,
)

app.command(up)
app.command(open_page, name="open")
app.command(train)


def main(tokens: Sequence[str] | None = None) -> int:
    """Entry point: 0 success, 1 failure, 2 wrong usage, 130 interrupted."""
    tokens = list(sys.argv[1:] if tokens is None else tokens)
    for stream in (sys.stdout, sys.stderr):
        # A class name the terminal's encoding lacks must not end the program.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        code: int | None = app(
            tokens,
            exit_on_error=False,
            error_console=Console(stderr=True),
            result_action="return_value",
        )
    except CycloptsError as error:
        if "--json" in tokens:
            print_json(InvalidRequest(str(error), fix="see exemplar --help").as_dict())
        return WRONG_USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last line of defence against tracebacks
        return _show_failure(error, "--json" in tokens)
    return code or 0


@app.command
def predict(
    project: Name,
    *examples: Examples,
    key: Annotated[
        str | None, about("The endpoint's key, where it is not kept on this machine.")
    ] = None,
    explain: Annotated[bool, about("Say why: mark the words, or draw over each picture.")] = False,
    class_name: Annotated[
        str, Parameter(name="--class", help="Explain this class, not the answered one.")
    ] = "",
    overlays: Annotated[
        Path | None, about("Where explained pictures go; beside the pictures by default.")
    ] = None,
    json: AsJson = False,
) -> int:
    """Ask a project's endpoint what is on pictures, or of which class texts are.

    A text `-` stands for the lines of the standard input. `--explain` writes
    `photo.explained.png` beside `photo.jpg`.

    Example: `exemplar predict my-cat photo.jpg other.png`

    Example: `exemplar predict spam "You have won a prize" --explain`
    """
    from deployments.client import Exemplar
    from deployments.explained import show_explained
    from deployments.screens import show_error, show_prediction

    if not examples:
        raise InvalidRequest(
            "no example is named", fix=f"name one: exemplar predict {project} photo.jpg"
        )
    answers: list[dict[str, Any]] = []
    with Exemplar() as client:
        kind = client.kind(project)
        key = key or client.opening(project)
        name = "text" if kind is Kind.TEXT else "file"
        for example in _asked(examples, kind):
            try:
                answer = client.predict(
                    project,
                    example,
                    key,
                    explain=explain or bool(class_name),
                    class_name=class_name,
                )
            except ExemplarError as error:
                answer = error.as_dict()
                show_error(Console(stderr=True), error)
            else:
                shown = example[:_SHOWN_CHARACTERS] if kind is Kind.TEXT else example
                show_prediction(Console(stderr=json), shown, answer)
                answer |= show_explained(Console(stderr=json), example, answer, overlays)
            answers.append({name: example} | answer)
    if json:
        print_json({"project": project, "predictions": answers})
    return FAILED if any("error" in answer for answer in answers) else 0


def _asked(examples: Sequence[str], kind: Kind) -> Iterator[str]:
    for example in examples:
        if example == "-" and kind is Kind.TEXT:
            yield from (line.rstrip("\n") for line in sys.stdin if line.strip())
        else:
            yield example


@app.command
def details(project: Name, *, json: AsJson = False) -> None:
    """Show a project: classes, data, accuracy, endpoint, jobs and versions.

    Example: `exemplar details my-cat`
    """
    from deployments.client import Exemplar
    from deployments.screens import show_details

    with Exemplar() as client:
        found = client.details(project)
    print_json(found) if json else show_details(Console(), found)


@app.command
def projects(*, json: AsJson = False) -> None:
    """List your projects.

    Example: `exemplar projects`
    """
    from deployments.client import Exemplar
    from deployments.screens import show_projects

    with Exemplar() as client:
        found = client.projects()
    print_json({"projects": found}) if json else show_projects(Console(), found)


@app.command
def recipe(
    name: Annotated[str, about("fast, balanced, accurate, … (docs/recipes.md).")] = "balanced",
    *,
    text: Annotated[bool, about("The recipe for text.")] = False,
) -> None:
    """Print a recipe's values, to be changed and given to `exemplar train --recipe FILE`.

    Example: `exemplar recipe balanced > mine.toml`
    """
    from models.recipe import Recipe

    values = Recipe.from_name(name, Kind.TEXT if text else Kind.IMAGE).as_dict()
    lines = [f'preset = "{name}"']
    for key, value in values.items():
        if key not in {"name", "backbone", "seed"}:
            lines.append(f"{key} = {json_module.dumps(value)}")  # which is TOML, too
    print("\n".join(lines))


@app.command
def report(
    project: Name,
    *,
    folder: Annotated[Path, about("Where to put the pages.")] = _HERE,
    json: AsJson = False,
) -> None:
    """Fetch the pages on a project's data and on its model, and say where they are.

    Each is one file that opens in any browser, without a network.

    Example: `exemplar report my-cat`
    """
    from deployments.client import Exemplar

    with Exemplar() as client:
        pages = [str(path) for path in client.download_reports(project, folder)]
    print_json({"project": project, "pages": pages}) if json else print("\n".join(pages))


@app.command
def logs(project: Name, job: JobId = None, *, json: AsJson = False) -> None:
    """Print a job's log lines, the newest job's by default.

    On AWS this needs access to Prefect: set PREFECT_API_URL and PREFECT_API_KEY.

    Example: `exemplar logs my-cat`
    """
    from deployments.client import Exemplar
    from deployments.screens import show_log

    with Exemplar() as client:
        job_id = job or _newest_job(client, project)
        lines = client.logs(project, job_id)
    if json:
        print_json({"project": project, "job_id": job_id, "lines": [asdict(x) for x in lines]})
    else:
        show_log(Console(), lines)


@app.command
def cancel(project: Name, job: JobId = None, *, json: AsJson = False) -> None:
    """Stop a job, the newest by default; what was live stays live.

    Example: `exemplar cancel my-cat`
    """
    from deployments.client import Exemplar
    from deployments.screens import show_cancelled

    with Exemplar() as client:
        cancelled = client.cancel(project, job or _newest_job(client, project))
    print_json(asdict(cancelled)) if json else show_cancelled(Console(), cancelled)


@app.command
def rollback(
    project: Name,
    *,
    to: Annotated[str, about("This version; by default the one promoted before.")] = "",
    json: AsJson = False,
) -> None:
    """Let an earlier version of the model answer again, at once.

    The endpoint, its key and all data stay. `exemplar details my-cat` lists the versions; going
    forward again is `--to` a later one.

    Example: `exemplar rollback my-cat`
    """
    from deployments.client import Exemplar
    from deployments.screens import show_live

    with Exemplar() as client:
        live = client.rollback(project, to)
    print_json(live) if json else show_live(Console(), live)


@app.command
def key(
    project: Name,
    *,
    rotate: Annotated[
        bool, about("Make a new key first; the old one stops working within a minute.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Print the key of a project's endpoint that is kept on this machine.

    Example: `exemplar key my-cat --rotate`
    """
    from deployments.client import Exemplar

    with Exemplar() as client:
        found = client.rotate_key(project) if rotate else client.saved_key(project)
    print_json({"project": project, "key": found}) if json else print(found)


def _newest_job(client: "Exemplar", project: str) -> str:
    jobs = client.jobs(project)
    if not jobs:
        raise NotFound(
            f"project {project!r} has no jobs yet",
            fix=f"start one: exemplar train FOLDER --project {project}",
        )
    return str(jobs[0]["job_id"])


def _show_failure(error: Exception, is_json: bool) -> int:
    from deployments.screens import show_error

    if os.environ.get("EXEMPLAR_DEBUG") == "1":
        raise error
    if not isinstance(error, ExemplarError):
        error = ExemplarError(
            f"{type(error).__name__}: {error}",
            fix="set EXEMPLAR_DEBUG=1 and run it again to see where this comes from",
        )
    if is_json:
        print_json(error.as_dict())
    show_error(Console(stderr=True), error)
    return FAILED


app.command(approve)
app.command(change, name="set")
app.command(feedback)
app.command(evaluate)
app.command(compare)
app.command(suggest)
app.command(delete)
app.command(history)
app.command(usage)
app.command(status)
app.command(down)
app.command(demo)
app.command(users_app)
app.command(deploy_app)
app.command(destroy_app)


if __name__ == "__main__":
    sys.exit(main())
