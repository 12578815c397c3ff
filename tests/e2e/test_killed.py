"""Parts of the system die without warning; nothing is lost."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from deployments.local import embedded

pytestmark = pytest.mark.stack


def test_a_killed_training_goes_on_from_its_checkpoint(
    stack: Any, digits: Any, tmp_path: Path
) -> None:
    with stack.client() as client:
        recipe = {"preset": "fast", "epochs": 12, "patience": 12}
        job = client.submit(client.read(digits(tmp_path, 20)), "killed", recipe=recipe)
        before = wait_for_epoch(client, "killed", job.job_id, 1)
        kill_training(stack)
        ended = client.wait("killed", job.job_id)
        epochs = [epoch["epoch"] for epoch in ended.metrics["epochs"]]
        messages = [line.message for line in client.logs("killed", job.job_id)]
    assert ended.state == "done"
    assert epochs == sorted(set(epochs))
    assert epochs[-1] >= before
    assert any("going on from the last checkpoint" in message for message in messages)
    assert any("lost its machine" in message for message in messages)


def wait_for_epoch(client: Any, project: str, job_id: str, number: int) -> int:
    for _ in range(1_500):
        job = client.job(project, job_id)
        assert job.state not in {"failed", "done"}, job
        epochs = job.metrics.get("epochs", [])
        if epochs and epochs[-1]["epoch"] >= number:
            return int(epochs[-1]["epoch"])
        time.sleep(0.2)
    raise AssertionError("training did not get that far")


def kill_training(stack: Any) -> None:
    """Kill every process below the training worker, as a machine that loses power would."""
    worker = next(s for s in embedded.status(stack.home) if s.name == "training-worker")
    children = psutil.Process(worker.pid).children(recursive=True)
    assert children
    for process in children:
        os.kill(process.pid, signal.SIGKILL)


def test_a_killed_emulator_is_healed_and_the_endpoint_answers_again(
    stack: Any, trained: Any
) -> None:
    client, _, folder = trained
    picture = next(folder.glob("digit 0/*.png"))
    before = client.predict("digits", picture)
    time.sleep(1.5)  # the emulator saves its state within a second
    emulator = next(s for s in embedded.status(stack.home) if s.name == "emulator")
    os.kill(emulator.pid, signal.SIGKILL)
    links = embedded.up(stack.home, lambda _: None)
    assert links == stack.links
    after = client.predict("digits", picture)
    assert (after["label"], after["model_version"]) == (before["label"], before["model_version"])
    assert [s.is_running for s in embedded.status(stack.home)] == [True] * 5


@pytest.mark.soak
def test_a_killed_worker_loses_no_job(stack: Any, digits: Any, tmp_path: Path) -> None:
    """Worker and pipeline die together; the next `up` takes the job up where it was."""
    with stack.client() as client:
        folder = digits(tmp_path, 40)
        job = client.submit(client.read(folder), "orphan", recipe="fast")
        while client.job("orphan", job.job_id).stage in {"queued", "ingest"}:
            time.sleep(0.1)
        for name in ("orchestration-worker", "training-worker"):
            worker = next(s for s in embedded.status(stack.home) if s.name == name)
            processes = [psutil.Process(worker.pid)]
            processes += processes[0].children(recursive=True)
            for process in processes:
                os.kill(process.pid, signal.SIGKILL)
        embedded.up(stack.home, lambda _: None)
        assert client.wait("orphan", job.job_id).state == "done"
