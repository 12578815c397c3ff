"""Trials on a real Ray, which takes some seconds to start."""

import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from contracts.errors import InvalidRequest
from models.trials import Report, State
from models.tuning import Trial, Watcher, tune
from tests.models.test_tuning import RECIPE, digits

pytest.importorskip("ray", reason="needs the extra 'cluster'")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


class Killing(Watcher):
    """Kills the process of the first trial that reports."""

    def __init__(self) -> None:
        self.states: list[State | None] = []
        self.killed = False

    def epoch(self, trial: Trial, report: Report) -> None:
        if not self.killed:
            self.killed = True
            mine = psutil.Process().children(recursive=True)
            next(one for one in mine if _is_worker(one)).send_signal(signal.SIGKILL)

    def ended(self, trial: Trial, ended: Sequence[Trial]) -> None:
        self.states.append(trial.state)


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "_Worker.run" in process.name() + str(process.cmdline())
    except psutil.Error:  # ended meanwhile
        return False


@pytest.mark.soak
def test_trials_run_on_a_cluster_that_loses_one_and_sees_no_file(tmp_path: Path) -> None:
    data, watcher = digits(tmp_path / "digits"), Killing()
    gentle = replace(RECIPE, learning_rate=3e-4, head_learning_rate=3e-4)
    tuned = tune(*(gentle, data, None, tmp_path / "s"), trials=4, watcher=watcher, cluster="local")
    assert State.INTERRUPTED in watcher.states
    assert len(tuned.trials) == 4
    assert tuned.start.state is State.COMPLETE
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    here = tune(gentle, data, None, tmp_path / "here", trials=1)
    # Trials there have fewer threads, which add up in another order.
    assert tuned.start.val_loss == pytest.approx(here.start.val_loss, rel=0.05)


def test_a_cluster_that_does_not_answer_is_named(tmp_path: Path) -> None:
    data = digits(tmp_path / "digits", 48)
    with pytest.raises(InvalidRequest, match="no Ray cluster answers"):
        tune(RECIPE, data, None, tmp_path / "s", trials=1, cluster="127.0.0.1:1")
