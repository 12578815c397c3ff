"""`exemplar train`: the one command that waits, and may be interrupted while it does."""

import json as json_module
import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from contracts.errors import ExemplarError, InvalidRequest
from deployments.options import (
    FAILED,
    INTERRUPTED,
    AsJson,
    LabelColumn,
    Name,
    TextColumn,
    about,
    print_json,
)

if TYPE_CHECKING:
    from deployments.client import Exemplar, TrainOptions
    from deployments.progress import Reporter
    from deployments.remote_job import RemoteJob, TrainResult


def train(
    folder: Annotated[
        Path | None,
        about(
            "A folder with one folder of pictures per class, or train/ and test/ with such "
            "folders inside; or a CSV of texts and labels. Without it the examples of the last "
            "training learn again, with what was given as feedback since."
        ),
    ] = None,
    *,
    project: Name,
    wait: Annotated[
        bool, Parameter(help="Stay until the job ends, or print its id and return.")
    ] = True,
    model: Annotated[
        str | None,
        about("Backbone, such as 'mobilenet_v2', or a model of the hub as 'hf:owner/name'."),
    ] = None,
    recipe: Annotated[
        str | None,
        about("Training recipe: fast, balanced, accurate, or a TOML or JSON file of values."),
    ] = None,
    seed: Annotated[int | None, about("Seed of the split and of the training.")] = None,
    budget_seconds: Annotated[
        int | None, about("Stop training after this time and use the best model so far.")
    ] = None,
    min_per_class: Annotated[
        int | None, about("Train although classes have fewer examples than usual, such as 10.")
    ] = None,
    tune: Annotated[
        int | None, about("Try this many variants of the recipe and train with the best, e.g. 20.")
    ] = None,
    text_column: TextColumn = "",
    label_column: LabelColumn = "",
    again: Annotated[
        bool, about("Train anew although the same job has already succeeded.")
    ] = False,
    feedback: Annotated[
        bool, Parameter(help="Learn from what was given with `exemplar feedback`, too.")
    ] = True,
    json: AsJson = False,
) -> int:
    """Upload labelled pictures or texts, train on them and serve the result.

    Run it again after an interruption: it sends what is missing and attaches to the job.

    Example: `exemplar train ./pictures --project my-cat`

    Example: `exemplar train --project my-cat`, with what `exemplar feedback` was given

    Example: `exemplar train messages.csv --project spam --label-column kind`

    Example: `exemplar recipe balanced > mine.toml`, then
    `exemplar train ./pictures --project my-cat --recipe mine.toml`

    Example: `exemplar train ./pictures --project my-cat --tune 20`
    """
    from deployments.client import Exemplar
    from deployments.progress import reporter_for

    options = _given(model, recipe, seed, budget_seconds, min_per_class, tune, again)
    if not feedback:
        options["with_feedback"] = False
    with Exemplar() as client:
        columns = (text_column, label_column)
        run = _Run(client, folder, project, options, columns, recipe or "", Console(stderr=json))
        try:
            with reporter_for(run.console) as reporter:
                job = run.submit(reporter)
                if wait:
                    run.job = client.wait(project, job.job_id, reporter.on_job)
        except KeyboardInterrupt:
            return run.interrupted(json)
    return run.finished(json)


@dataclass
class _Run:
    """Keeps the job as last seen, so that an interruption can say what goes on without us."""

    client: "Exemplar"
    folder: Path | None
    project: str
    options: "TrainOptions"
    columns: tuple[str, str]
    recipe: str
    console: Console
    job: "RemoteJob | None" = None

    def submit(self, reporter: "Reporter") -> "RemoteJob":
        """Read, upload and start; without a folder, start with what was learnt from before."""
        from deployments.screens import show_folder, show_learnt_feedback

        if self.folder is None:
            self.options["as_before"] = True
            self.job = self.client.start(self.project, **self.options)
        else:
            found = self.client.read(self.folder, reporter.on_transfer, *self.columns)
            show_folder(self.console, found)
            self.job = self.client.submit(found, self.project, reporter.on_transfer, **self.options)
        show_learnt_feedback(self.console, self.job.feedback)
        return self.job

    def interrupted(self, is_json: bool) -> int:
        """Say what goes on and how to come back."""
        from deployments.screens import say

        if self.job is None:
            say(Console(stderr=True), f"interrupted; go on with: {self._same_command()}")
            document = ExemplarError("interrupted", fix=self._same_command()).as_dict()
        else:
            say(Console(stderr=True), f"the job goes on; attach again with: {self._same_command()}")
            document = self._result().as_dict()
        if is_json:
            print_json(document)
        return INTERRUPTED

    def finished(self, is_json: bool) -> int:
        """Print what came of it."""
        from deployments.screens import show_result

        result = self._result()
        show_result(self.console, result)
        if is_json:
            print_json(result.as_dict())
        return FAILED if result.is_failure else 0

    def _result(self) -> "TrainResult":
        from deployments.remote_job import TrainResult

        assert self.job is not None
        return TrainResult.of(self.job)

    def _same_command(self) -> str:
        """Without --again, which would begin anew once this job has succeeded."""
        words = ["exemplar", "train", *([str(self.folder)] if self.folder else [])]
        words += ["--project", self.project]
        for name, column in zip(("--text-column", "--label-column"), self.columns, strict=True):
            words += [name, column] if column else []
        for name, value in self.options.items():
            if name == "recipe":
                words += ["--recipe", self.recipe]
            elif name == "with_feedback":
                words.append("--no-feedback")
            elif name not in {"again", "as_before"}:
                words += [f"--{name.replace('_', '-')}", str(value)]
        return shlex.join(words)


def _given(
    model: str | None,
    recipe: str | None,
    seed: int | None,
    budget_seconds: int | None,
    min_per_class: int | None,
    tune: int | None,
    again: bool,
) -> "TrainOptions":
    """Only what was named: the defaults are the server's."""
    options: TrainOptions = {}
    if model is not None:
        options["model"] = model
    if recipe is not None:
        options["recipe"] = _recipe(recipe)
    if seed is not None:
        options["seed"] = seed
    if budget_seconds is not None:
        options["budget_seconds"] = budget_seconds
    if min_per_class is not None:
        options["min_per_class"] = min_per_class
    if tune is not None:
        options["tune"] = tune
    if again:
        options["again"] = True
    return options


def _recipe(given: str) -> "str | dict[str, Any]":
    """A preset's name, or the values in a file."""
    path = Path(given)
    if path.suffix not in {".toml", ".json"}:
        return given
    try:
        text = path.read_text()
        values = tomllib.loads(text) if path.suffix == ".toml" else json_module.loads(text)
    except (OSError, ValueError) as error:
        raise InvalidRequest(
            f"the recipe {given!r} cannot be read: {error}",
            fix="begin with a preset's values: exemplar recipe balanced > mine.toml",
        ) from error
    if not isinstance(values, dict):
        raise InvalidRequest(f"the recipe {given!r} holds no values", fix="write name = value")
    return values
