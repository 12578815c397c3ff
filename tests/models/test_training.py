"""Real trainings of the small network on digits: seconds each."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.errors import InvalidRequest
from models.checkpoints import LAST_CHECKPOINT, EpochResult, load_best
from models.data import TrainingData
from models.recipe import Recipe
from models.torchlibs import torch
from models.training import Trained, train
from models.zoo import build
from tests.models.pictures import write_digits

RECIPE = replace(Recipe.from_name("scratch"), epochs=3, batch_size=8, flip=False)


def digits(folder: Path) -> TrainingData:
    paths, labels = write_digits(folder, 150, classes=3)
    return TrainingData(paths[:110], labels[:110], paths[110:], labels[110:], ("0", "1", "2"))


class Killed(Exception):
    """Stands for whatever ends a training from outside."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return digits(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def scratch(data: TrainingData, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The recipe's whole training, never interrupted."""
    return train(RECIPE, data, None, tmp_path_factory.mktemp("scratch"))


@pytest.fixture
def weights(scratch: Trained, tmp_path: Path) -> Path:
    """Its blocks, to start from."""
    path = tmp_path / "w.pth"
    torch.save(load_best(scratch.best_checkpoint)[0].blocks.state_dict(), path)
    return path


def final_weights(folder: Path) -> dict[str, torch.Tensor]:
    saved = torch.load(folder / LAST_CHECKPOINT, weights_only=True)
    return saved["state_dict"]


def test_learns_digits_from_scratch(data: TrainingData, tmp_path: Path) -> None:
    seen: list[EpochResult] = []
    trained = train(replace(RECIPE, epochs=6), data, None, tmp_path, on_epoch=seen.append)
    assert [result.epoch for result in seen] == list(range(1, trained.epochs + 1))
    assert trained.val_accuracy > 0.8
    best = min(seen, key=lambda result: result.val_loss)
    assert (trained.best_epoch, trained.val_accuracy) == (best.epoch, best.val_accuracy)
    classifier, recipe = load_best(trained.best_checkpoint)
    assert recipe.backbone == "cnn"
    assert classifier.head.out_features == 3


STAGED = replace(
    RECIPE,
    solve_head=False,
    unfrozen_blocks=3,
    unfreezing_stages=2,
    find_rates=True,
    optimizer="sgd",
    schedule="one_cycle",
    learning_rate=1e-2,
    head_learning_rate=1e-2,
)


@pytest.mark.parametrize(
    "recipe",
    # A rate test picks one of many rates, which rounding may turn to another.
    [
        pytest.param(RECIPE, id="plain"),
        pytest.param(replace(STAGED, find_rates=False), id="staged"),
        pytest.param(
            replace(RECIPE, schedule="plateau", patience=3), id="plateau", marks=pytest.mark.soak
        ),
    ],
)
def test_a_resumed_training_ends_where_an_uninterrupted_one_does(
    data: TrainingData, tmp_path: Path, recipe: Recipe
) -> None:
    weights = None
    if recipe.unfreezing_stages > 1:
        weights = tmp_path / "w.pth"
        torch.save(build("cnn", 3).blocks.state_dict(), weights)
    whole = train(recipe, data, weights, tmp_path / "whole")

    def stop_after_first(result: EpochResult) -> None:
        raise Killed

    with pytest.raises(Killed):
        train(recipe, data, weights, tmp_path / "first", on_epoch=stop_after_first)
    seen: list[EpochResult] = []
    resumed = train(
        recipe,
        data,
        weights,
        tmp_path / "second",
        resume_from=tmp_path / "first" / LAST_CHECKPOINT,
        on_epoch=seen.append,
    )
    assert [result.epoch for result in seen] == [2, 3]
    assert resumed.best_epoch == whole.best_epoch
    assert resumed.val_accuracy == pytest.approx(whole.val_accuracy)
    expected, given = final_weights(tmp_path / "whole"), final_weights(tmp_path / "second")
    assert all(torch.allclose(given[name], value, atol=1e-4) for name, value in expected.items())


def test_blocks_learn_from_their_stage_on(data: TrainingData, tmp_path: Path) -> None:
    weights = tmp_path / "w.pth"
    torch.save(build("cnn", 3).blocks.state_dict(), weights)
    states: list[dict[str, torch.Tensor]] = []

    def look(path: Path) -> None:
        states.append(torch.load(path, weights_only=True)["state_dict"])

    train(STAGED, data, weights, tmp_path / "run", on_checkpoint=look)
    name = "classifier.blocks.4.0.weight"
    first, *later = [state[name] for state in states]
    before = torch.load(weights, weights_only=True)["4.0.weight"]
    assert torch.equal(first, before)  # round(3 / 2) epochs of the head alone
    assert not torch.equal(later[-1], before)
    assert torch.equal(
        states[-1]["classifier.blocks.1.0.weight"], states[0]["classifier.blocks.1.0.weight"]
    )
    assert float(states[-1]["rate_scale"]) > 0


def test_resuming_a_finished_training_gives_its_result_again(
    data: TrainingData, tmp_path: Path
) -> None:
    first = train(replace(RECIPE, epochs=1), data, None, tmp_path / "a")
    again = train(
        replace(RECIPE, epochs=1),
        data,
        None,
        tmp_path / "b",
        resume_from=tmp_path / "a" / LAST_CHECKPOINT,
    )
    assert (again.best_epoch, again.val_accuracy) == (first.best_epoch, first.val_accuracy)
    assert load_best(again.best_checkpoint)[0].head.out_features == 3


def test_the_checkpoint_is_whole_whenever_it_is_announced(
    data: TrainingData, tmp_path: Path
) -> None:
    announced: list[int] = []

    def look(path: Path) -> None:
        announced.append(torch.load(path, weights_only=True)["epoch"])

    train(RECIPE, data, None, tmp_path, on_checkpoint=look)
    assert announced == [0, 1, 2]
    assert not list(tmp_path.glob("*.part"))


def test_the_solved_head_is_epoch_zero_and_may_win(
    data: TrainingData, weights: Path, tmp_path: Path
) -> None:
    seen: list[EpochResult] = []
    recipe = replace(RECIPE, solve_head=True, unfrozen_blocks=1, epochs=1)
    tuned = train(recipe, data, weights, tmp_path / "tuned", on_epoch=seen.append)
    assert [result.epoch for result in seen] == [0, 1]
    assert seen[0].val_accuracy > 0.8
    assert tuned.val_loss <= seen[0].val_loss
    alone = train(replace(recipe, epochs=0), data, weights, tmp_path / "alone")
    assert (alone.best_epoch, alone.val_accuracy) == (0, seen[0].val_accuracy)


def test_a_mixture_with_the_solved_head_may_win_and_survives_a_resume(
    data: TrainingData, weights: Path, tmp_path: Path
) -> None:
    # Far too fast on purpose: the end is bad, and what lies halfway back is better.
    wild = replace(RECIPE, solve_head=True, epochs=1, learning_rate=0.05, seed=3)
    seen: list[EpochResult] = []
    tuned = train(wild, data, weights, tmp_path / "tuned", on_epoch=seen.append)
    assert tuned.tuned_share < 1
    assert tuned.val_loss <= min(result.val_loss for result in seen)
    again = train(
        wild,
        data,
        weights,
        tmp_path / "again",
        resume_from=tmp_path / "tuned" / LAST_CHECKPOINT,
    )
    assert (again.tuned_share, again.epochs) == (tuned.tuned_share, tuned.epochs)
    assert again.val_loss == pytest.approx(tuned.val_loss)


def test_patience_and_budget_end_it(data: TrainingData, tmp_path: Path) -> None:
    still = replace(RECIPE, epochs=9, patience=2, learning_rate=0.0, head_learning_rate=0.0)
    assert train(still, data, None, tmp_path / "a").epochs <= 4
    assert (
        train(replace(RECIPE, epochs=9), data, None, tmp_path / "b", budget_seconds=0).epochs == 1
    )


def test_another_recipes_checkpoint_is_refused(data: TrainingData, tmp_path: Path) -> None:
    train(replace(RECIPE, epochs=1), data, None, tmp_path / "a")
    with pytest.raises(InvalidRequest, match="another recipe"):
        train(
            replace(RECIPE, epochs=1, seed=5),
            data,
            None,
            tmp_path / "b",
            resume_from=tmp_path / "a" / LAST_CHECKPOINT,
        )


@pytest.mark.parametrize("content", [b"", b"no checkpoint"])
def test_a_broken_checkpoint_is_refused(data: TrainingData, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(InvalidRequest, match=r"last\.ckpt"):
        train(RECIPE, data, None, tmp_path / "b", resume_from=tmp_path / "last.ckpt")


def test_a_model_file_is_no_checkpoint(data: TrainingData, tmp_path: Path) -> None:
    torch.save(build("cnn", 3).state_dict(), tmp_path / "w.pth")
    with pytest.raises(InvalidRequest):
        train(RECIPE, data, None, tmp_path / "b", resume_from=tmp_path / "w.pth")
    with pytest.raises(InvalidRequest):
        load_best(tmp_path / "w.pth")


PROGRAM = """
import sys
from pathlib import Path
from tests.models.test_training import ENDLESS, digits, train

folder = Path(sys.argv[1])
train(ENDLESS, digits(folder / "digits"), None, folder / "run",
      on_epoch=lambda result: print(result.epoch, flush=True))
"""
ENDLESS = replace(RECIPE, epochs=10_000, patience=10_000)


@pytest.mark.parametrize(
    "sent", [pytest.param(signal.SIGTERM, marks=pytest.mark.soak), signal.SIGKILL]
)
def test_a_signal_leaves_a_checkpoint_to_go_on_from(
    data: TrainingData, tmp_path: Path, sent: signal.Signals
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": "."},
    )
    assert process.stdout
    assert [int(process.stdout.readline()) for _ in range(2)] == [1, 2]
    process.send_signal(sent)
    process.communicate()
    assert process.returncode not in {0, 1}
    seen: list[EpochResult] = []
    last = tmp_path / "run" / LAST_CHECKPOINT
    train(
        ENDLESS,
        data,
        None,
        tmp_path / "again",
        resume_from=last,
        on_epoch=seen.append,
        budget_seconds=0,
    )
    assert [result.epoch >= 3 for result in seen] == [True]
