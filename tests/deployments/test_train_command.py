import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from contracts.identity import Project
from contracts.status import JobState, Stage
from deployments.client import Exemplar
from deployments.remote_job import TrainResult
from deployments.screens import show_result
from models.recipe import Recipe
from tests.deployments.api_server import ROOT, USER, ApiServer
from tests.deployments.command_line import Run
from tests.deployments.pictures import write_classes

EPOCHS = [{"epoch": 1, "stage": "head", "train_loss": 0.5, "val_accuracy": 0.75, "seconds": 2.0}]
ESTIMATE = {"seconds": 120.0, "dollars": 0.02, "machine": "g4dn.xlarge spot", "basis": "a guess"}
FINISHED: dict[str, Any] = {
    "state": JobState.DONE,
    "stage": Stage.DONE,
    "progress": 1.0,
    "dataset_version": "d" * 64,
    "model_version": "finetune-0123456789ab",
    "endpoint": "http://127.0.0.1/predict/ann/cats",
    "draft_seconds": 9.5,
    "dollars": 0.0123,
    "estimate": ESTIMATE,
    "stage_seconds": {"draft": 4.5, "train": 30.25},
    "decision": {"promote": True, "reason": "more often right than the champion"},
    "metrics": {
        "accuracy": 0.9,
        "interval": [0.74, 0.97],
        "sentence": "right 27 times out of 30",
        "test_examples": 30,
        "epochs": EPOCHS,
    },
}
FAILED: dict[str, Any] = {
    "state": JobState.FAILED,
    "failure": {
        "code": "data_problem",
        "message": "3 pictures of \x1b[31m'cat' cannot be read",
        "fix": "replace them",
        "details": ["cat/[bold]1.png", "cat/2.png\r"],
    },
}


def finish(server: ApiServer, project: str, job_id: str, values: dict[str, Any]) -> None:
    server.state.update_job(Project(USER, project), job_id, **values)


def spawn(*words: object, **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "deployments.cli", *(str(word) for word in words)]
    return subprocess.Popen(command, cwd=ROOT, **options)


def wait_for_job(server: ApiServer, project: str) -> str:
    for _ in range(600):
        if jobs := server.state.jobs(Project(USER, project)):
            return jobs[0].job_id
        time.sleep(0.05)
    raise AssertionError("no job began")


def test_train_waits_and_prints_one_object(
    server: ApiServer, run: Run, project: str, tmp_path: Path
) -> None:
    folder = write_classes(tmp_path / "data", 10)
    begun = run("train", folder, "--project", project, "--no-wait", "--json")
    assert begun.code == 0
    assert begun.document["state"] == "queued"
    assert "20/20 files" in begun.err
    finish(server, project, begun.document["job_id"], FINISHED)
    done = run("train", folder, "--project", project, "--json")
    assert done.code == 0
    assert done.document == {
        "project": project,
        "job_id": begun.document["job_id"],
        "state": "done",
        "dataset_version": "d" * 64,
        "model_version": "finetune-0123456789ab",
        "stage_seconds": {"draft": 4.5, "train": 30.25},
        "draft_seconds": 9.5,
        "dollars": 0.0123,
        "estimate": ESTIMATE,
        "accuracy": 0.9,
        "interval": [0.74, 0.97],
        "sentence": "right 27 times out of 30",
        "decision": {"promote": True, "reason": "more often right than the champion"},
        "endpoint": "http://127.0.0.1/predict/ann/cats",
        "kind": "image",
        "baseline": None,
        "tuning": {},
    }
    assert "20 were stored already" in done.err


def test_a_recipe_may_be_a_file(run: Run, project: str, server: ApiServer, tmp_path: Path) -> None:
    folder = write_classes(tmp_path / "data", 10)
    printed = run("recipe", "fast").out
    (tmp_path / "mine.toml").write_text(printed.replace("epochs = 4", "epochs = 7"))
    (tmp_path / "mine.json").write_text('{"preset": "fast", "epochs": 7}')
    words = ("train", folder, "--project", project, "--no-wait", "--json", "--recipe")
    jobs = [
        server.state.job(Project(USER, project), run(*words, name).document["job_id"])
        for name in (tmp_path / "mine.toml", tmp_path / "mine.json", "fast")
    ]
    first, second, preset = (Recipe.of(job.recipe) for job in jobs)
    assert first == second
    assert (first.epochs, preset.epochs) == (7, 4)
    (tmp_path / "broken.toml").write_text("epochs = ")
    for path, said in (("broken.toml", "cannot be read"), ("none.toml", "cannot be read")):
        refused = run(*words, tmp_path / path)
        assert refused.code == 1
        assert said in refused.err


def test_train_tells_a_person_the_result(
    server: ApiServer, run: Run, project: str, tmp_path: Path
) -> None:
    folder = write_classes(tmp_path / "data", 10)
    job_id = run("train", folder, "--project", project, "--no-wait", "--json").document["job_id"]
    finish(server, project, job_id, FINISHED)
    shown = run("train", folder, "--project", project)
    assert "20 pictures in 2 classes: cat, dog" in shown.out
    assert "epoch 1  head  loss 0.500  validation accuracy 75.0%  2.0 s" in shown.out
    assert "right 27 times out of 30 (95 % interval 74.0% to 97.0%)" in shown.out
    assert "promoted: more often right" in shown.out
    assert "cost: $0.01 of machine time" in shown.out
    assert f"$(exemplar key {project})" in shown.out
    assert all(len(line) > 80 for line in shown.out.splitlines() if "curl" in line)
    assert (shown.code, shown.err) == (0, "")


def test_a_failed_job_names_the_files_and_nothing_reaches_the_terminal_raw(
    server: ApiServer, run: Run, project: str, tmp_path: Path
) -> None:
    folder = write_classes(tmp_path / "data", 10)
    job_id = run("train", folder, "--project", project, "--no-wait", "--json").document["job_id"]
    finish(server, project, job_id, FAILED)
    # As the server has it, the same request begins a new job; the old one is shown by its id.
    shown = run("train", folder, "--project", project, "--no-wait", "--json")
    assert shown.document["job_id"] != job_id
    screen = io.StringIO()
    with Exemplar() as client:
        result = TrainResult.of(client.wait(project, job_id))
    show_result(Console(file=screen, force_terminal=True, width=80), result)
    assert result.is_failure
    assert result.as_dict()["failure"]["fix"] == "replace them"
    told = screen.getvalue()
    assert "failed: 3 pictures of [31m'cat' cannot be read" in told
    assert "  - cat/[bold]1.png" in told
    assert "\r" not in told


def test_interrupting_leaves_the_job_running_and_says_how_to_come_back(
    server: ApiServer, connected: None, project: str, tmp_path: Path
) -> None:
    folder = write_classes(tmp_path / "my data", 10)
    process = spawn(
        *("train", folder, "--project", project, "--seed", 5, "--again"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    lines = iter(process.stdout.readline, b"")
    assert next(line for line in lines if b"queued" in line)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    expected = f"attach again with: exemplar train '{folder}' --project {project} --seed 5\n"
    assert expected in err.decode()
    [job] = server.state.jobs(Project(USER, project))
    assert not job.state.is_final


def test_a_failure_ends_the_waiting_with_1(
    server: ApiServer, connected: None, project: str, tmp_path: Path
) -> None:
    folder = write_classes(tmp_path / "data", 10)
    process = spawn(
        *("train", folder, "--project", project, "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    finish(server, project, wait_for_job(server, project), FAILED)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert json.loads(out)["failure"]["code"] == "data_problem"
    assert b"fix: replace them" in err
    assert b"\x1b" not in err


def test_a_terminal_gets_bars_and_the_news(
    server: ApiServer, connected: None, project: str, tmp_path: Path
) -> None:
    folder = write_classes(tmp_path / "data", 10)
    ours, theirs = pty.openpty()
    process = spawn(
        *("train", folder, "--project", project),
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(theirs)
    job_id = wait_for_job(server, project)
    draft = {
        "estimate": ESTIMATE,
        "stage": Stage.TRAIN,
        "progress": 0.5,
        "message": "[blink]fitting",
        "metrics": {},
    }
    draft |= {"endpoint": "http://127.0.0.1/draft", "state": JobState.RUNNING}
    finish(server, project, job_id, draft)
    screen = read_until(ours, "an endpoint answers already")
    finish(server, project, job_id, FINISHED)
    screen += read_until(ours, "try it")
    assert process.wait(60) == 0
    os.close(ours)
    expected = "training takes about 2 min, $0.02 on g4dn.xlarge spot (judged by a guess)"
    for part in ("sending", "20/20 files", expected, "[blink]fitting", "epoch 1", "promoted"):
        assert part in screen


def read_until(terminal: int, text: str) -> str:
    """A terminal has to be read all the time, or its program stops."""
    seen = b""
    while text.encode() not in seen:
        seen += os.read(terminal, 4096)
    return seen.decode(errors="replace")
