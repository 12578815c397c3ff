"""One trial of a recipe: a training, or one a fold, that may be given up on the way."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from statistics import fmean
from typing import Final

import numpy as np

from models.checkpoints import EpochResult
from models.data import TrainingData
from models.draft import FEW_PER_CLASS
from models.recipe import Recipe
from models.training import Heads, train

MOST_FOLDS: Final = 5  # with few examples a training is short, and one part's loss mostly luck
FEWEST_FOLDS: Final = 3
_RUNGS: Final = 4  # parts of a training after which it is compared with others


@dataclass(frozen=True, slots=True)
class Job:
    """A trial to be run. A training within it ends by itself after `budget_seconds`."""

    number: int
    recipe: Recipe
    budget_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """How far a trial is: after an epoch, or after a whole fold (then without `epoch`).

    `loss` is there where other trials have one at the same `rung`, so that they can be compared.
    """

    fold: int  # from 0
    epoch: EpochResult | None
    rung: int = 0
    loss: float | None = None


class State(StrEnum):
    """How a trial ended."""

    COMPLETE = "complete"
    PRUNED = "pruned"  # given up, others were better at that point
    FAILED = "failed"
    INTERRUPTED = "interrupted"  # by the loss of its process; it is run again


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a trial; loss (calibrated) and accuracy (0..1) are means over its folds."""

    state: State
    seconds: float
    val_loss: float | None = None
    val_accuracy: float | None = None
    message: str = ""


class _GivenUp(Exception):
    """Ends the training of a trial from within its callback."""


class TrialRunner:
    """Runs trials one after the other; what they share is worked out in the first one."""

    def __init__(self, parts: Sequence[TrainingData], weights: Path | None, folder: Path) -> None:
        """Train on each of `parts` in turn, see `folds_of`; `folder` is written to."""
        self.parts, self._weights, self._folder = parts, weights, folder
        self._heads: list[Heads] = [{} for _ in parts]

    def run(self, job: Job, goes_on: Callable[[Report], bool]) -> Outcome:
        """Train on all parts, or until `goes_on` says no to a report.

        What a recipe's values break (memory, a loss that is no number) is a failed trial; an
        `ExemplarError` would meet every trial and is raised.
        """
        started = time.monotonic()
        losses: list[float] = []
        accuracies: list[float] = []
        try:
            for fold in range(len(self.parts)):
                loss, accuracy = self._train(job, fold, goes_on)
                losses.append(loss)
                accuracies.append(accuracy)
                is_last = fold == len(self.parts) - 1
                if not is_last and not goes_on(Report(fold, None, fold + 1, fmean(losses))):
                    raise _GivenUp
        except _GivenUp:
            return Outcome(State.PRUNED, time.monotonic() - started)
        except (RuntimeError, ValueError) as error:
            return Outcome(State.FAILED, time.monotonic() - started, message=str(error)[:500])
        seconds, loss = time.monotonic() - started, fmean(losses)
        if not np.isfinite(loss):
            return Outcome(State.FAILED, seconds, message="its loss is no number")
        return Outcome(State.COMPLETE, seconds, loss, fmean(accuracies))

    def _train(self, job: Job, fold: int, goes_on: Callable[[Report], bool]) -> tuple[float, float]:
        def on_epoch(result: EpochResult) -> None:
            # Folds are compared as wholes: each has its own validation part.
            rung = _rung(result) if len(self.parts) == 1 else 0
            if not goes_on(Report(fold, result, rung, result.val_loss if rung else None)):
                raise _GivenUp

        budget = job.budget_seconds
        trained = train(
            job.recipe,
            self.parts[fold],
            self._weights,
            self._folder,
            on_epoch=on_epoch,
            budget_seconds=None if budget is None else budget / len(self.parts),
            heads=self._heads[fold],
        )
        return trained.val_loss, trained.val_accuracy


def _rung(result: EpochResult) -> int:
    """Which part of its training an epoch completes, 0 for none: recipes differ in epochs."""
    if not 0 < result.epoch < result.epochs:
        return 0
    reached, before = (
        _RUNGS * epoch // result.epochs for epoch in (result.epoch, result.epoch - 1)
    )
    return reached if reached > before else 0


def folds_of(data: TrainingData, groups: Sequence[str], seed: int) -> list[TrainingData]:
    """Return the data as it is or, with fewer than `FEW_PER_CLASS` in a class, folds of it all.

    Folds are stratified; of `groups` (one name an example, training part first) none is divided.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # takes 1 s

    if np.bincount(data.train_labels, minlength=len(data.classes)).min() >= FEW_PER_CLASS:
        return [data]
    labels = np.array([*data.train_labels, *data.validation_labels])
    sources = [*data.train_sources, *data.validation_sources]
    groups = groups or [str(row) for row in range(len(labels))]
    per_class = [
        len({groups[row] for row in np.flatnonzero(labels == index).tolist()})
        for index in range(len(data.classes))
    ]
    count = MOST_FOLDS if min(per_class) < FEW_PER_CLASS // 2 else FEWEST_FOLDS
    if min(per_class) < count:
        return [data]
    folds = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    return [
        replace(
            data,
            train_sources=[sources[row] for row in learn],
            train_labels=labels[learn].tolist(),
            validation_sources=[sources[row] for row in check],
            validation_labels=labels[check].tolist(),
        )
        for learn, check in folds.split(labels, labels, groups)
    ]
