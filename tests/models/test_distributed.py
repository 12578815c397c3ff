"""Trainings on two processes, which take some seconds to start: on CPU (gloo), or on two GPUs."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from contracts.errors import InvalidRequest
from models.checkpoints import LAST_CHECKPOINT, EpochResult
from models.data import TrainingData
from models.hardware import ONE_PROCESS, Hardware
from models.ranks import RankFailed
from models.torchlibs import lightning, torch
from models.training import train
from models.zoo import build
from tests.emulator_process import free_port
from tests.models.test_training import ENDLESS, RECIPE, STAGED, Killed, digits

TWO = Hardware(2, "gpu" if torch.cuda.device_count() > 1 else "cpu")
# 105 pictures in batches of 8 leave a batch of one, 37 do not divide by two.
TRAINED, VALIDATED = 105, 37


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    whole = digits(tmp_path_factory.mktemp("digits"))
    return replace(
        whole,
        train_sources=whole.train_sources[:TRAINED],
        train_labels=whole.train_labels[:TRAINED],
        validation_sources=whole.validation_sources[:VALIDATED],
        validation_labels=whole.validation_labels[:VALIDATED],
    )


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Several processes share few cores here: threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def rank_processes(of: psutil.Process | None = None) -> list[psutil.Process]:
    """Those that live; other tests' children may have ended without anybody having asked yet."""
    found = []
    for child in (of or psutil.Process()).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # as a zombie counts, too
            if "models.rank" in child.cmdline():
                found.append(child)
    return found


class Recorder(lightning.loggers.Logger):
    """Keeps what a logger is given."""

    name, version = "recorder", 0

    def __init__(self) -> None:
        super().__init__()
        self.logged: list[tuple[int | None, set[str]]] = []
        self.status = ""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.logged.append((step, set(metrics)))

    def log_hyperparams(self, *args: object, **kwargs: object) -> None:
        pass

    def finalize(self, status: str) -> None:
        self.status = status


def test_two_processes_find_what_one_does(data: TrainingData, tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(build("cnn", 3).blocks.state_dict(), tmp_path / "w.pth")
    # Batch norm and dropout are left out: they depend on which pictures share a process.
    recipe = replace(
        RECIPE,
        solve_head=True,
        unfrozen_blocks=0,
        dropout=0.0,
        epochs=2,
        head_learning_rate=1e-4,
        kept_views=0,  # one process's alone
    )
    seen: dict[str, list[EpochResult]] = {"one": [], "two": []}
    loggers = {"one": Recorder(), "two": Recorder()}
    one, two = (
        train(
            recipe,
            data,
            tmp_path / "w.pth",
            tmp_path / name,
            on_epoch=seen[name].append,
            loggers=[loggers[name]],
            hardware=hardware,
        )
        for name, hardware in (("one", ONE_PROCESS), ("two", TWO))
    )
    for expected, given in zip(seen["one"], seen["two"], strict=True):
        assert (given.epoch, given.val_accuracy) == (expected.epoch, expected.val_accuracy)
        assert given.val_loss == pytest.approx(expected.val_loss, rel=1e-3)
        assert (given.train_loss or 0) == pytest.approx(expected.train_loss or 0, rel=1e-3)
    assert (two.best_epoch, two.tuned_share) == (one.best_epoch, one.tuned_share)
    assert two.val_loss == pytest.approx(one.val_loss, rel=1e-3)
    assert two.images_per_second > 0
    # Each validation picture once, and in order.
    assert two.held_out_logits.shape == (VALIDATED, 3)
    assert np.allclose(two.held_out_logits, one.held_out_logits, rtol=1e-3, atol=1e-3)
    assert loggers["two"].logged == loggers["one"].logged
    assert loggers["two"].status == "success"
    assert not rank_processes()


def test_two_processes_unfreeze_by_stages(data: TrainingData, tmp_path: Path) -> None:
    torch.save(build("cnn", 3).blocks.state_dict(), tmp_path / "w.pth")
    seen: list[int] = []
    train(
        STAGED,
        data,
        tmp_path / "w.pth",
        tmp_path / "run",
        on_epoch=lambda result: seen.append(result.epoch),
        hardware=TWO,
    )
    assert seen == [1, 2, 3]
    before = torch.load(tmp_path / "w.pth", weights_only=True)
    saved = torch.load(tmp_path / "run" / LAST_CHECKPOINT, weights_only=True)["state_dict"]
    assert not torch.equal(saved["classifier.blocks.4.0.weight"], before["4.0.weight"])
    assert torch.equal(saved["classifier.blocks.1.0.weight"], before["1.0.weight"])


def test_a_checkpoint_goes_on_with_another_number_of_processes(
    data: TrainingData, tmp_path: Path
) -> None:
    seen: list[int] = []

    def go_on(folder: Path, hardware: Hardware, last: Path | None) -> Path:
        train(RECIPE, data, None, folder, resume_from=last, on_epoch=stop, hardware=hardware)
        return folder / LAST_CHECKPOINT

    def stop(result: EpochResult) -> None:
        seen.append(result.epoch)
        if result.epoch < RECIPE.epochs:
            raise Killed

    with pytest.raises(Killed):
        go_on(tmp_path / "one", ONE_PROCESS, None)
    with pytest.raises(Killed):
        go_on(tmp_path / "two", TWO, tmp_path / "one" / LAST_CHECKPOINT)
    assert not rank_processes()
    go_on(tmp_path / "again", ONE_PROCESS, tmp_path / "two" / LAST_CHECKPOINT)
    assert seen == [1, 2, 3]
    assert not list(tmp_path.glob("*/*.part"))


def test_another_recipes_checkpoint_starts_no_process(data: TrainingData, tmp_path: Path) -> None:
    train(replace(RECIPE, epochs=1), data, None, tmp_path / "a")
    with pytest.raises(InvalidRequest, match="another recipe"):
        train(
            replace(RECIPE, epochs=1, seed=5),
            data,
            None,
            tmp_path / "b",
            resume_from=tmp_path / "a" / LAST_CHECKPOINT,
            hardware=TWO,
        )
    assert not (tmp_path / "b" / "node-0").exists()


def test_a_killed_process_fails_the_training_and_leaves_none(
    data: TrainingData, tmp_path: Path
) -> None:
    victims: list[psutil.Process] = []

    def kill_the_second(result: EpochResult) -> None:
        victims.extend(rank_processes())
        victims[1].kill()

    with pytest.raises(RankFailed, match=r"process 1 of 2 .* status -9"):
        train(ENDLESS, data, None, tmp_path, on_epoch=kill_the_second, hardware=TWO)
    assert len(victims) == 2
    assert not any(victim.is_running() for victim in victims)
    assert torch.load(tmp_path / LAST_CHECKPOINT, weights_only=True)["epoch"] == 0


PROGRAM = """
import sys
from pathlib import Path
from tests.models.test_distributed import ENDLESS, TWO, digits, train

folder = Path(sys.argv[1])
train(ENDLESS, digits(folder / "digits"), None, folder / "run", hardware=TWO,
      on_epoch=lambda result: print(result.epoch, flush=True))
"""


@pytest.mark.parametrize(
    ("sent", "status"),
    [(signal.SIGTERM, 143), pytest.param(signal.SIGKILL, -9, marks=pytest.mark.soak)],
)
def test_a_signal_ends_all_processes_and_leaves_a_checkpoint(
    tmp_path: Path, sent: signal.Signals, status: int
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": ".", "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout
    assert int(process.stdout.readline()) == 1
    ranks = rank_processes(psutil.Process(process.pid))
    assert len(ranks) == 2
    process.send_signal(sent)
    process.communicate()
    assert process.returncode == status
    _, left = psutil.wait_procs(ranks, timeout=20)
    assert not left
    seen: list[EpochResult] = []
    train(
        ENDLESS,
        digits(tmp_path / "digits"),
        None,
        tmp_path / "again",
        resume_from=tmp_path / "run" / LAST_CHECKPOINT,
        on_epoch=seen.append,
        budget_seconds=0,
    )
    assert [result.epoch >= 2 for result in seen] == [True]


HELPER = """
import sys
from pathlib import Path
from models.training import join_training
from tests.models.test_distributed import RECIPE, digits, node

folder = Path(sys.argv[1])
join_training(RECIPE, digits(folder / "digits"), None, folder / "helper", node(1, int(sys.argv[2])))
"""


def node(rank: int, port: int) -> Hardware:
    return Hardware(1, "cpu", nodes=2, node_rank=rank, main_port=port)


@pytest.mark.soak
def test_two_nodes_train_together_until_the_first_ones_budget_is_spent(tmp_path: Path) -> None:
    data, port = digits(tmp_path / "digits"), free_port()
    helper = subprocess.Popen(
        [sys.executable, "-c", HELPER, str(tmp_path), str(port)],
        env=os.environ | {"PYTHONPATH": ".", "OMP_NUM_THREADS": "1"},
    )
    trained = train(RECIPE, data, None, tmp_path / "main", budget_seconds=0, hardware=node(0, port))
    assert helper.wait(60) == 0
    assert trained.epochs == 1
    assert trained.held_out_logits.shape == (40, 3)
