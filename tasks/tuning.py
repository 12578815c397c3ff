"""A search for a better recipe, seen from outside: in the job, MLflow, Prefect and S3."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from prefect.artifacts import create_table_artifact
from prefect.logging import get_run_logger
from typing_extensions import override

from contracts.errors import InvalidRequest
from contracts.keys import ProjectKeys
from contracts.manifest import Manifest, Split
from contracts.status import Stage
from models.data import TrainingData
from models.recipe import Recipe
from models.trials import Report, State
from models.tuning import JOURNAL, Trial, Tuned, Watcher, tune
from tasks import registry, storage
from tasks.progress import Progress
from tasks.settings import settings

END: Final = 0.6  # 0..1 of the training stage; the training with the result takes the rest


@dataclass(frozen=True, slots=True)
class Search:
    """Whose search it is and how far it may go."""

    progress: Progress
    training: str  # its id
    run_id: str  # the training's in MLflow; trials become its children
    trials: int
    budget_seconds: float


def tuned_recipe(
    search: Search,
    manifest: Manifest,
    recipe: Recipe,
    data: TrainingData,
    weights: Path | None,
    folder: Path,
) -> Recipe:
    """Return the best recipe found; a search that an earlier attempt began goes on.

    Raises `InvalidRequest` for a training on several machines, which cannot take trials apart.
    """
    if settings().training_nodes > 1:
        raise InvalidRequest(
            f"tuning does not run on {settings().training_nodes} training nodes",
            fix="set EXEMPLAR_TRAINING_NODES=1 and EXEMPLAR_TUNING_CLUSTER to a Ray cluster",
        )
    folder.mkdir(parents=True, exist_ok=True)
    watcher = _Reporter(search, folder / JOURNAL)
    watcher.fetch_journal()
    learnt = manifest.select(Split.TRAIN), manifest.select(Split.VALIDATION)
    tuned = tune(
        recipe,
        data,
        weights,
        folder,
        trials=search.trials,
        budget_seconds=search.budget_seconds,
        groups=[example.group or example.sha256 for part in learnt for example in part],
        watcher=watcher,
        storage=settings().tuning_storage,
        name=f"{manifest.project.slug}-{search.training}",
        cluster=settings().tuning_cluster,
    )
    watcher.store_journal()  # says now that the search is over
    sentence = found(tuned)
    search.progress.within(
        Stage.TRAIN,
        END,
        f"tuned: {sentence}",
        **{"metrics.tuning": as_document(tuned) | {"sentence": sentence}},
    )
    return tuned.recipe


def found(tuned: Tuned) -> str:
    """What came of a search, in a sentence."""
    count, start, best = len(tuned.trials), tuned.start.val_loss or 0.0, tuned.best.val_loss or 0.0
    tried = f"{count} {'trial' if count == 1 else 'trials'} in {tuned.seconds:.0f} s"
    if not tuned.changes:
        return f"{tried} found nothing better than the recipe itself (validation loss {start:.3f})"
    changes = ", ".join(f"{name} {_short(value)}" for name, value in tuned.changes.items())
    return f"{tried} brought the validation loss from {start:.3f} to {best:.3f} with {changes}"


def as_document(tuned: Tuned) -> dict[str, Any]:
    """For the job's record."""
    states = [trial.state for trial in tuned.trials]
    return {
        "trials": len(states),
        "pruned": states.count(State.PRUNED),
        "failed": states.count(State.FAILED),
        "folds": tuned.folds,
        "seconds": round(tuned.seconds, 1),
        "start_val_loss": tuned.start.val_loss,
        "best_val_loss": tuned.best.val_loss,
        "best_trial": tuned.best.place,
        "changes": tuned.changes,
    }


@dataclass
class _Reporter(Watcher):
    search: Search
    journal: Path
    _runs: dict[int, str] = field(default_factory=dict)  # MLflow's, by a trial's number
    _epochs: dict[int, int] = field(default_factory=dict)

    def fetch_journal(self) -> None:
        """Take what an earlier machine stored, unless this one has come further."""
        if settings().tuning_storage:
            return
        stored = self.journal.with_suffix(".stored")
        if not storage.fetch_file(self._key, stored):
            return
        if not self.journal.exists() or self.journal.stat().st_size < stored.stat().st_size:
            stored.replace(self.journal)
            get_run_logger().info("going on with the search for a recipe")

    def store_journal(self) -> None:
        """Keep the study where the loss of this machine does not reach it."""
        if not settings().tuning_storage:
            storage.put_file(self._key, self.journal)

    @property
    def _key(self) -> str:
        return ProjectKeys(self.search.progress.project).checkpoint(self.search.training, JOURNAL)

    @override
    def began(self, trial: Trial) -> None:
        self._run(trial)
        self._say(trial, f"trial {trial.place} of {self.search.trials} has begun")

    @override
    def epoch(self, trial: Trial, report: Report) -> None:
        if (epoch := report.epoch) is None:
            return
        step = self._epochs[trial.number] = self._epochs.get(trial.number, -1) + 1
        values = {"val_loss": epoch.val_loss, "val_accuracy": epoch.val_accuracy}
        registry.log_epoch(self._run(trial), values, step)
        message = f"trial {trial.place} of {self.search.trials}: epoch {epoch.epoch} of "
        self._say(trial, f"{message}{epoch.epochs}, {epoch.val_accuracy:.1%} right")

    @override
    def ended(self, trial: Trial, ended: Sequence[Trial]) -> None:
        self.store_journal()
        registry.finish_trial(
            self._run(trial), str(trial.state), trial.val_loss, trial.val_accuracy
        )
        complete = [one for one in ended if one.state is State.COMPLETE]
        if trial.state is not State.INTERRUPTED and complete:
            best = min(complete, key=lambda one: one.val_loss or 0.0)
            self._say(trial, f"{self._result(trial)}, best so far {best.val_accuracy:.1%}")
        self._show(ended)

    def _result(self, trial: Trial) -> str:
        line = f"trial {trial.place} of {self.search.trials}: "
        if trial.state is State.COMPLETE:
            return f"{line}right on {trial.val_accuracy:.1%} of the validation examples"
        return line + ("given up early" if trial.state is State.PRUNED else "failed")

    def _run(self, trial: Trial) -> str:
        if trial.number not in self._runs:
            self._runs[trial.number] = registry.run_of_trial(
                self.search.progress.project,
                self.search.run_id,
                f"{self.search.training}-trial-{trial.number}",
                dict(trial.values),
            )
        return self._runs[trial.number]

    def _say(self, trial: Trial, message: str) -> None:
        done = (trial.place - (trial.state is None)) / self.search.trials
        self.search.progress.within(Stage.TRAIN, END * min(done, 1.0), message)

    def _show(self, ended: Sequence[Trial]) -> None:
        """The latest version of the artifact holds all trials."""
        rows: list[dict[str, Any]] = [
            {
                "trial": trial.place,
                "state": str(trial.state),
                "validation loss": trial.val_loss,
                "right": trial.val_accuracy,
                "seconds": round(trial.seconds, 1),
            }
            | {name: _short(value) for name, value in trial.values.items()}
            for trial in ended
        ]
        try:
            create_table_artifact(
                rows, key=f"trials-{self.search.training}", description="recipes that were tried"
            )
        except httpx.HTTPError as error:  # the search outlives a server that is away for a while
            get_run_logger().warning("Prefect does not hear of this trial: %s", error)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
