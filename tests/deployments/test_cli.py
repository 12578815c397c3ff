import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from contracts.identity import Project
from contracts.status import JobState, Stage
from deployments import cli
from deployments.client import Exemplar
from deployments.remote_job import TrainResult
from deployments.screens import show_result
from tests.deployments.api_server import ROOT, TOKEN, USER, ApiServer, running_api
from tests.deployments.pictures import write_classes, write_picture

COMMANDS = (
    "up",
    "down",
    "status",
    "train",
    "predict",
    "details",
    "projects",
    "logs",
    "cancel",
    "key",
)
EPOCHS = [{"epoch": 1, "stage": "head", "train_loss": 0.5, "val_accuracy": 0.75, "seconds": 2.0}]
FINISHED: dict[str, Any] = {
    "state": JobState.DONE,
    "stage": Stage.DONE,
    "progress": 1.0,
    "dataset_version": "d" * 64,
    "model_version": "finetune-0123456789ab",
    "endpoint": "http://127.0.0.1/predict/ann/cats",
    "draft_seconds": 9.5,
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


@pytest.fixture(scope="module")
def server(emulator: Any, data_bucket: str, state_table: str) -> Iterator[ApiServer]:
    with running_api(emulator.endpoint, data_bucket, state_table) as running:
        yield running


@pytest.fixture(autouse=True)
def connected(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXEMPLAR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EXEMPLAR_URL", server.url)
    monkeypatch.setenv("EXEMPLAR_TOKEN", TOKEN)


@pytest.fixture
def project(request: pytest.FixtureRequest) -> str:
    return f"c{zlib.crc32(request.node.nodeid.encode()):08x}"


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command in this process, as in a pipe."""
    monkeypatch.setenv("COLUMNS", "80")

    def call(*words: object) -> Outcome:
        code = cli.main([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


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


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(run: Run, command: str) -> None:
    shown = run(command, "--help")
    assert shown.code == 0
    assert f"exemplar {command}" in shown.out.partition("Example:")[2]


def test_help_and_projects_load_nothing_heavy() -> None:
    script = (
        "import sys; from deployments import cli; cli.main(['projects']); cli.main(['--help']);"
        "heavy = {'torch', 'prefect', 'mlflow', 'boto3', 'numpy', 'pydantic'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize(
    "words", [["train"], ["train", "x", "--project", "p", "--seed", "many"], ["fly"], ["key"]]
)
def test_wrong_usage_is_2(run: Run, words: list[str]) -> None:
    shown = run(*words)
    assert (shown.code, shown.out) == (2, "")
    assert shown.err
    shown = run(*words, "--json")
    assert shown.code == 2
    assert shown.document["error"]["fix"]


def test_an_error_has_a_fix_and_no_traceback(run: Run, project: str) -> None:
    shown = run("details", project)
    assert (shown.code, shown.out) == (1, "")
    assert "error: there is no project" in shown.err
    assert "fix: " in shown.err
    assert "Traceback" not in shown.err
    assert run("details", project, "--json").document["error"]["code"] == "not_found"


def test_an_unexpected_error_shows_its_traceback_only_when_asked(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "keys.json").mkdir()
    shown = run("key", "cats")
    assert shown.code == 1
    assert "EXEMPLAR_DEBUG=1" in shown.err
    monkeypatch.setenv("EXEMPLAR_DEBUG", "1")
    with pytest.raises(IsADirectoryError):
        run("key", "cats")


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
        "accuracy": 0.9,
        "interval": [0.74, 0.97],
        "sentence": "right 27 times out of 30",
        "decision": {"promote": True, "reason": "more often right than the champion"},
        "endpoint": "http://127.0.0.1/predict/ann/cats",
    }
    assert "20 were stored already" in done.err


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
    server: ApiServer, project: str, tmp_path: Path
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


def test_a_failure_ends_the_waiting_with_1(server: ApiServer, project: str, tmp_path: Path) -> None:
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


def test_a_terminal_gets_bars_and_the_news(server: ApiServer, project: str, tmp_path: Path) -> None:
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
    draft = {"stage": Stage.TRAIN, "progress": 0.5, "message": "[blink]fitting", "metrics": {}}
    draft |= {"endpoint": "http://127.0.0.1/draft", "state": JobState.RUNNING}
    finish(server, project, job_id, draft)
    screen = read_until(ours, "an endpoint answers already")
    finish(server, project, job_id, FINISHED)
    screen += read_until(ours, "try it")
    assert process.wait(60) == 0
    os.close(ours)
    for part in ("reading", "sending", "20/20 files", "[blink]fitting", "epoch 1", "promoted"):
        assert part in screen


def read_until(terminal: int, text: str) -> str:
    """A terminal has to be read all the time, or its program stops."""
    seen = b""
    while text.encode() not in seen:
        seen += os.read(terminal, 4096)
    return seen.decode(errors="replace")


def test_predict_answers_for_every_file(
    server: ApiServer, run: Run, project: str, tmp_path: Path
) -> None:
    folder = write_classes(tmp_path / "data", 10)
    run("train", folder, "--project", project, "--no-wait")
    picture = write_picture(tmp_path / "[a].png", seed=1)
    assert "no endpoint yet" in run("predict", project, picture).err
    server.serve_endpoint(project)
    shown = run("predict", project, picture, picture)
    assert shown.code == 0
    assert shown.out.count("[a].png: cat (90.0%, draft-1)") == 2
    missing = run("predict", "--project", project, picture, tmp_path / "none.png", "--json")
    assert missing.code == 1
    first, second = missing.document["predictions"]
    assert (first["label"], second["error"]["code"]) == ("cat", "not_found")
    assert "no picture is named" in run("predict", project).err


def test_a_lost_key_is_explained_and_rotated(
    server: ApiServer, run: Run, project: str, tmp_path: Path
) -> None:
    run("train", write_classes(tmp_path / "data", 10), "--project", project, "--no-wait")
    old = run("key", project).out.strip()
    assert old.startswith("xk_")
    (tmp_path / "home" / "keys.json").unlink()
    server.serve_endpoint(project)
    lost = run("predict", project, write_picture(tmp_path / "a.png", 1))
    assert f"exemplar key {project} --rotate" in lost.err
    new = run("key", project, "--rotate", "--json").document["key"]
    assert new != old
    assert run("key", project).out.strip() == new


def test_projects_details_and_cancel(
    server: ApiServer, run: Run, project: str, tmp_path: Path
) -> None:
    folder = write_classes(tmp_path / "data", 10, ("cat", "[red]dog"))
    job_id = run("train", folder, "--project", project, "--no-wait", "--json").document["job_id"]
    assert project in run("projects").out
    listed = run("projects", "--json").document["projects"]
    assert project in {found["project"] for found in listed}
    shown = run("details", "--project", project)
    assert "[red]dog" in shown.out
    assert job_id in shown.out
    assert run("details", project, "--json").document["classes"] == ["[red]dog", "cat"]
    assert "cancelled" in run("cancel", project).out
    assert server.state.job(Project(USER, project), job_id).state is JobState.CANCELLED
    assert run("cancel", project, job_id, "--json").document["state"] == "cancelled"


def test_logs_and_cancel_need_a_job(run: Run, project: str, tmp_path: Path) -> None:

    with Exemplar() as client:
        client.create(project, ["cat", "dog"])
    for command in ("logs", "cancel"):
        shown = run(command, project)
        assert shown.code == 1
        assert "has no jobs yet" in shown.err
