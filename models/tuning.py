"""Search for a better recipe: Optuna's TPE with pruning, resumable, within a budget of time."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import optuna
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from contracts.errors import ExemplarError
from models.data import TrainingData
from models.recipe import CUSTOM, Recipe
from models.search_space import Space, space_around
from models.trials import Job, Outcome, Report, State, TrialRunner, folds_of

JOURNAL: Final = "study.journal"  # in the search's folder; goes on elsewhere when copied there
_NEVER_PRUNED: Final = 4  # trials, before there is a median worth comparing with
_LOST_MOST: Final = 5  # trials whose process was lost, before that is taken for their fault
_START_SHARE: Final = 0.5  # of the budget, for the recipe as it was given
_WITHOUT: Final = "train with it without tuning, or change it"
_STATES: Final = {
    TrialState.COMPLETE: State.COMPLETE,
    TrialState.PRUNED: State.PRUNED,
    TrialState.FAIL: State.FAILED,
}
_TOLD: Final = {state: told for told, state in _STATES.items()}


class TuningFailed(ExemplarError):
    """The recipe itself could not be trained, or trials lost their processes again and again."""

    code = "tuning_failed"


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial as people see it; `values` are what it varied."""

    number: int  # in the study, interrupted ones included
    place: int  # from 1, among those that count
    values: Mapping[str, Any]
    state: State | None  # None while it runs
    val_loss: float | None = None
    val_accuracy: float | None = None
    seconds: float = 0.0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Tuned:
    """The best recipe of the search; the first trial is the recipe it began with."""

    recipe: Recipe
    trials: tuple[Trial, ...]  # that have ended
    start: Trial  # of the recipe as it was given
    best: Trial
    folds: int  # 1 without cross validation
    seconds: float  # of all attempts

    @property
    def changes(self) -> dict[str, Any]:
        """What the best recipe has otherwise."""
        start = self.start.values
        return {name: value for name, value in self.best.values.items() if value != start[name]}


class Watcher:
    """Hears of a search; what its methods raise ends it, and the running trial is run again."""

    def began(self, trial: Trial) -> None:
        """Take note of a trial that starts."""

    def epoch(self, trial: Trial, report: Report) -> None:
        """Take note of an epoch or a fold."""

    def ended(self, trial: Trial, ended: Sequence[Trial]) -> None:
        """Take note of a trial's end, and of all that have; the study on disk has it already."""


def tune(
    recipe: Recipe,
    data: TrainingData,
    weights: Path | None,
    folder: Path,
    *,
    trials: int,
    budget_seconds: float | None = None,
    groups: Sequence[str] = (),
    watcher: Watcher | None = None,
    storage: str = "",
    name: str = "tuning",
    cluster: str = "",
) -> Tuned:
    """Try `trials` variants and return the one with the least calibrated validation loss.

    The first is `recipe` itself, so the result is no worse on what trials are judged by: the
    validation part or, with few examples, folds (see `models.trials.folds_of`, also for `groups`).
    The study is kept in `folder`, or under `name` in the database at the URL `storage`. Killed and
    called again, the search goes on: what had ended counts, what was running is run again.
    No trial starts, and none goes on, that would leave less of `budget_seconds` than one training
    takes. On a Ray `cluster` (see `models.tuning_cluster`) trials run side by side.
    Raises `TuningFailed`, and what `models.training.train` does.
    """
    if weights is None:
        recipe = recipe.from_scratch()
    folder.mkdir(parents=True, exist_ok=True)
    space = space_around(
        recipe, is_text=data.tokenizer is not None, has_weights=weights is not None
    )
    parts = folds_of(data, groups, recipe.seed)
    study = _study(storage or folder / JOURNAL, name, recipe.seed, trials)
    search = Search(study, recipe, space, trials, budget_seconds, watcher or Watcher(), len(parts))
    if cluster:
        from models.tuning_cluster import run_on_cluster  # Ray is an optional extra

        run_on_cluster(search, parts, weights, folder, cluster)
    else:
        run_here(search, TrialRunner(parts, weights, folder))
    return search.result()


def run_here(search: "Search", runner: TrialRunner) -> None:
    """Run one trial after the other in this process."""
    while job := search.next():
        search.ended(job, runner.run(job, partial(search.goes_on, job)))


@dataclass
class Search:
    """Hands out trials and takes their results; whoever runs them asks for the next."""

    study: optuna.Study
    recipe: Recipe
    space: Space
    trials: int
    budget_seconds: float | None
    watcher: Watcher
    folds: int = 1
    _open: dict[int, optuna.Trial] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)
    _earlier_seconds: float = 0.0
    _lost: int = 0

    def __post_init__(self) -> None:
        """Queue what an earlier process left running, and the recipe itself at the very first."""
        self._earlier_seconds = self.study.user_attrs.get("seconds", 0.0)
        for trial in self.study.get_trials(states=(TrialState.RUNNING,)):
            self._run_again(trial)
        asked = [
            trial.params or trial.system_attrs.get("fixed_params")
            for trial in self.study.get_trials()
            if _has_ended(trial) or trial.state is TrialState.WAITING
        ]
        if self._start not in asked:
            self.study.enqueue_trial(self._start)

    def next(self) -> Job | None:
        """Return another trial to run, or None when there are enough or time is short."""
        if self.study.user_attrs.get("is_over"):
            return None
        place = len(self._ended()) + len(self._open) + 1
        if place > self.trials or self._is_short():
            if not self._open:
                # Said once for all: a later attempt must train with the same result.
                self.study.set_user_attr("is_over", True)
            return None
        trial = self.study.ask(dict(self.space))
        trial.set_user_attr("place", place)
        self._open[trial.number] = trial
        self.watcher.began(self._seen(trial.number))
        is_start = trial.params == self._start
        budget = self.budget_seconds
        return Job(
            trial.number,
            self._recipe_of(trial.params),
            budget * _START_SHARE if is_start and budget is not None else None,
        )

    def goes_on(self, job: Job, report: Report) -> bool:
        """Take note of how far a trial is, and say whether it is worth going on."""
        trial = self._open[job.number]
        self.watcher.epoch(self._seen(job.number), report)
        if report.loss is not None:
            trial.report(report.loss, report.rung)
        if trial.params == self._start:
            return True
        is_late = self.budget_seconds is not None and self._needed(0.0) > self.budget_seconds
        return not is_late and not trial.should_prune()

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Write a result down. Raises `TuningFailed` when the recipe itself cannot be trained."""
        trial = self._open[job.number]
        for name in ("seconds", "val_accuracy", "message"):
            trial.set_user_attr(name, getattr(outcome, name))
        self.study.tell(trial, outcome.val_loss, state=_TOLD[outcome.state])
        del self._open[job.number]
        self.study.set_user_attr("seconds", self._elapsed())
        self.watcher.ended(self._seen(job.number), [_trial(one) for one in self._ended()])
        if outcome.state is State.FAILED and trial.params == self._start:
            raise TuningFailed(
                f"the recipe cannot be trained, so it was not varied: {outcome.message}",
                fix=_WITHOUT,
            )

    def lost(self, job: Job) -> None:
        """Have a trial run again whose process was lost. Raises `TuningFailed` if that repeats."""
        del self._open[job.number]
        self._lost += 1
        if self._lost > _LOST_MOST:
            raise TuningFailed(
                f"{self._lost} trials lost their processes",
                fix="check the cluster's memory and its machines, then start again: it goes on",
            )
        self._run_again(self._frozen(job.number))

    def result(self) -> Tuned:
        """Return the best of what has ended; of equals the earlier one. Raises `TuningFailed`."""
        ended = self._ended()
        complete = [trial for trial in ended if trial.state is TrialState.COMPLETE]
        start = next((trial for trial in complete if trial.params == self._start), None)
        if start is None:
            raise TuningFailed("the recipe cannot be trained, so it was not varied", fix=_WITHOUT)
        best = min(complete, key=_loss)
        is_start = best.params == self._start
        return Tuned(
            recipe=self.recipe if is_start else self._recipe_of(best.params),
            trials=tuple(_trial(one) for one in ended),
            start=_trial(start),
            best=_trial(best),
            folds=self.folds,
            seconds=self.study.user_attrs["seconds"],
        )

    @property
    def _start(self) -> dict[str, Any]:
        return {name: getattr(self.recipe, name) for name in self.space}

    def _recipe_of(self, values: Mapping[str, Any]) -> Recipe:
        changed = self.recipe.as_dict() | dict(values)
        return self.recipe if values == self._start else Recipe(**changed | {"name": CUSTOM})

    def _run_again(self, trial: FrozenTrial) -> None:
        # First queued, then closed: killed in between, it is run twice rather than never.
        self.study.enqueue_trial(trial.params or trial.system_attrs["fixed_params"])
        self.study.tell(trial.number, state=TrialState.FAIL)
        seen = replace(_trial(trial), state=State.INTERRUPTED)
        self.watcher.ended(seen, [_trial(one) for one in self._ended()])

    def _ended(self) -> list[FrozenTrial]:
        return [trial for trial in self.study.get_trials(deepcopy=False) if _has_ended(trial)]

    def _frozen(self, number: int) -> FrozenTrial:
        return self.study.get_trials(deepcopy=False)[number]

    def _seen(self, number: int) -> Trial:
        return _trial(self._frozen(number))

    def _elapsed(self) -> float:
        return self._earlier_seconds + time.monotonic() - self._began

    def _is_short(self) -> bool:
        seconds = [trial.user_attrs["seconds"] for trial in self._ended()]
        if self.budget_seconds is None or not seconds:
            return False
        return self._needed(median(seconds)) > self.budget_seconds

    def _needed(self, trial_seconds: float) -> float:
        """Seconds gone when a trial more and the training with the result are over."""
        whole = [
            trial.user_attrs["seconds"] / self.folds
            for trial in self._ended()
            if trial.state is TrialState.COMPLETE
        ]
        return self._elapsed() + trial_seconds + max(whole, default=0.0)


def _study(where: str | Path, name: str, seed: int, trials: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = _journal(where) if isinstance(where, Path) else RDBStorage(where)
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        load_if_exists=True,
        direction="minimize",
        pruner=MedianPruner(n_startup_trials=_NEVER_PRUNED, n_min_trials=2),
    )
    study.sampler = TPESampler(
        n_startup_trials=min(10, max(3, trials // 3)),
        multivariate=True,  # rate, epochs and batch size depend on each other
        constant_liar=True,  # trials side by side keep apart
        seed=seed + len(study.get_trials(deepcopy=False)),  # a resumed search must not repeat draws
    )
    return study


def _journal(path: Path) -> BaseStorage:
    """Open the file. What a killed process left is mended: half a line, and its lock."""
    if path.exists():
        whole = path.read_bytes().rpartition(b"\n")
        os.truncate(path, len(whole[0]) + len(whole[1]))
    path.with_name(path.name + ".lock").unlink(missing_ok=True)
    return JournalStorage(JournalFileBackend(str(path)))


def _has_ended(trial: FrozenTrial) -> bool:
    """Interrupted trials have no duration: it is written down before the state."""
    return trial.state in _STATES and "seconds" in trial.user_attrs


def _loss(trial: FrozenTrial) -> float:
    assert trial.value is not None
    return trial.value


def _trial(trial: FrozenTrial) -> Trial:
    known = trial.user_attrs
    return Trial(
        number=trial.number,
        place=known.get("place", trial.number + 1),
        values=dict(trial.params),
        state=_STATES.get(trial.state),
        val_loss=trial.value,
        val_accuracy=known.get("val_accuracy"),
        seconds=known.get("seconds", 0.0),
        message=known.get("message", ""),
    )
