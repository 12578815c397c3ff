"""Searches over trainings of the small network on digits: a second or two a trial."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import tuning
from models.data import TrainingData
from models.recipe import CUSTOM, Recipe
from models.training import train
from models.trials import Job, Outcome, Report, State, folds_of
from models.tuning import JOURNAL, Trial, Tuned, Watcher, tune
from tests.models.pictures import write_digits

ROOT = Path(__file__).parents[2]
RECIPE = replace(
    Recipe.from_name("scratch"), epochs=2, batch_size=16, flip=False, learning_rate=3e-3
)


def digits(folder: Path, count: int = 140) -> TrainingData:
    paths, labels = write_digits(folder, count, classes=2)
    cut = count * 4 // 5
    return TrainingData(paths[:cut], labels[:cut], paths[cut:], labels[cut:], ("0", "1"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return digits(tmp_path_factory.mktemp("digits"))


class Diary(Watcher):
    def __init__(self) -> None:
        self.states: list[State | None] = []
        self.reports: list[tuple[int, Report]] = []

    def epoch(self, trial: Trial, report: Report) -> None:
        self.reports.append((trial.number, report))

    def ended(self, trial: Trial, ended: Sequence[Trial]) -> None:
        self.states.append(trial.state)


@pytest.fixture(scope="module")
def searched(
    data: TrainingData, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Tuned, Diary, Path]:
    diary, folder = Diary(), tmp_path_factory.mktemp("search")
    return tune(RECIPE, data, None, folder, trials=8, watcher=diary), diary, folder


def test_the_recipe_itself_is_the_first_trial_and_none_is_chosen_that_is_worse(
    searched: tuple[Tuned, Diary, Path],
) -> None:
    tuned, _, _ = searched
    assert tuned.start.values == {name: getattr(RECIPE, name) for name in tuned.start.values}
    assert tuned.start.state is State.COMPLETE
    complete = [trial for trial in tuned.trials if trial.state is State.COMPLETE]
    assert tuned.best == min(complete, key=lambda trial: trial.val_loss or 0.0)
    assert any(trial.values != tuned.start.values for trial in tuned.trials)
    found = replace(RECIPE, name=CUSTOM, **tuned.best.values)
    assert tuned.recipe == (found if tuned.changes else RECIPE)


def test_bad_trials_are_given_up_after_a_part_of_their_epochs(
    searched: tuple[Tuned, Diary, Path],
) -> None:
    tuned, diary, _ = searched
    pruned = {trial.number for trial in tuned.trials if trial.state is State.PRUNED}
    assert pruned
    for number in pruned:
        assert sum(one == number for one, _ in diary.reports) < RECIPE.epochs
    assert [trial.place for trial in tuned.trials] == list(range(1, 9))


def test_training_with_the_result_gives_the_loss_of_its_trial(
    searched: tuple[Tuned, Diary, Path], data: TrainingData, tmp_path: Path
) -> None:
    tuned, _, _ = searched
    assert train(tuned.recipe, data, None, tmp_path).val_loss == pytest.approx(tuned.best.val_loss)


def test_a_finished_search_gives_its_result_again_without_a_trial(
    searched: tuple[Tuned, Diary, Path], data: TrainingData, tmp_path: Path
) -> None:
    """Also on another machine, which has nothing but the journal."""
    tuned, _, folder = searched
    (tmp_path / JOURNAL).write_bytes((folder / JOURNAL).read_bytes())
    diary = Diary()
    assert tune(RECIPE, data, None, tmp_path, trials=8, watcher=diary) == tuned
    assert not diary.reports


_SEARCH = """
import sys
from pathlib import Path
from models.tuning import tune
from tests.models.test_tuning import RECIPE, digits
tune(RECIPE, digits(Path(sys.argv[1])), None, Path(sys.argv[2]), trials=5)
"""


def test_a_killed_search_goes_on_with_the_trial_that_was_running(tmp_path: Path) -> None:
    data, folder = digits(tmp_path / "digits"), tmp_path / "search"
    arguments = [sys.executable, "-c", _SEARCH, tmp_path / "digits", folder]
    process = subprocess.Popen(arguments, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    journal, deadline = folder / JOURNAL, time.monotonic() + 60
    while not journal.exists() or journal.read_bytes().count(b'"place"') < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with journal.open("ab") as half:
        half.write(b'{"op_code":4,"wor')  # as a kill within a write leaves it
    diary = Diary()
    tuned = tune(RECIPE, data, None, folder, trials=5, watcher=diary)
    assert [trial.place for trial in tuned.trials] == [1, 2, 3, 4, 5]
    assert diary.states[0] is State.INTERRUPTED
    assert tuned.start.number == 0
    assert min(number for number, _ in diary.reports) >= 2  # what had ended was not run again


def test_what_a_watcher_raises_ends_the_search_and_loses_one_trial(
    data: TrainingData, tmp_path: Path
) -> None:
    class Cancelled(Exception):
        pass

    class Cancelling(Watcher):
        def epoch(self, trial: Trial, report: Report) -> None:
            raise Cancelled

    storage = f"sqlite:///{tmp_path}/studies.db"
    with pytest.raises(Cancelled):
        tune(*(RECIPE, data, None, tmp_path / "a"), trials=2, watcher=Cancelling(), storage=storage)
    diary = Diary()
    tuned = tune(RECIPE, data, None, tmp_path / "b", trials=1, watcher=diary, storage=storage)
    assert diary.states == [State.INTERRUPTED, State.COMPLETE]
    assert tuned.recipe == RECIPE
    assert not (tmp_path / "b" / JOURNAL).exists()


def test_the_budget_ends_the_search_and_leaves_time_for_the_training(
    data: TrainingData, tmp_path: Path
) -> None:
    began = time.monotonic()
    first = tune(RECIPE, data, None, tmp_path / "one", trials=1)
    budget = 3 * first.start.seconds
    tuned = tune(RECIPE, data, None, tmp_path / "many", trials=200, budget_seconds=budget)
    assert 1 <= len(tuned.trials) < 200
    assert tuned.seconds < budget
    assert time.monotonic() - began < 10 * budget


def test_few_examples_are_cross_validated_in_stratified_folds_that_divide_no_group(
    data: TrainingData, tmp_path: Path
) -> None:
    assert folds_of(data, (), 0) == [data]
    few = digits(tmp_path / "few", 48)
    sources = [*few.train_sources, *few.validation_sources]
    labels = [*few.train_labels, *few.validation_labels]
    groups = [f"{label}-{row // 4}" for row, label in enumerate(labels)]
    folds = folds_of(few, groups, 0)
    assert len(folds) == 5
    assert sorted(s for fold in folds for s in fold.validation_sources) == sorted(sources)
    group_of = dict(zip(sources, groups, strict=True))
    for fold in folds:
        learn, check = set(fold.train_sources), set(fold.validation_sources)
        assert learn.isdisjoint(check)
        assert len(learn | check) == len(sources)
        assert {group_of[s] for s in learn}.isdisjoint({group_of[s] for s in check})
        assert (np.bincount(fold.validation_labels, minlength=2) >= 3).all()
    diary = Diary()
    short = replace(RECIPE, epochs=1)
    tuned = tune(short, few, None, tmp_path / "s", trials=1, groups=groups, watcher=diary)
    assert tuned.folds == 5
    between = [report for _, report in diary.reports if report.epoch is None]
    assert [report.rung for report in between] == [1, 2, 3, 4]
    assert between[-1].loss is not None


def test_a_trial_that_breaks_is_failed_and_the_recipe_that_does_is_an_error(
    data: TrainingData, tmp_path: Path
) -> None:
    from models.search_space import space_around

    study = tuning._study(tmp_path / JOURNAL, "s", 0, 3)
    space = space_around(RECIPE, is_text=False, has_weights=False)
    search = tuning.Search(study, RECIPE, space, 3, None, Watcher())
    good, bad = search.next(), search.next()
    assert isinstance(good, Job)
    assert isinstance(bad, Job)
    search.ended(bad, Outcome(State.FAILED, 1.0, message="out of memory"))
    search.ended(good, Outcome(State.COMPLETE, 1.0, 0.5, 0.9))
    assert search.result().best.number == good.number
    assert search.result().trials[1].message == "out of memory"
    again = tuning.Search(
        tuning._study(tmp_path / "other", "s", 0, 3), RECIPE, space, 3, None, Watcher()
    )
    first = again.next()
    assert first is not None
    with pytest.raises(tuning.TuningFailed, match="out of memory"):
        again.ended(first, Outcome(State.FAILED, 1.0, message="out of memory"))
