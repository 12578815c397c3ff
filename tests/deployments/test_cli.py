import json
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from contracts.identity import Project
from contracts.status import JobState
from deployments.client import Exemplar
from models.recipe import Recipe
from tests.deployments.api_server import ROOT, USER, ApiServer
from tests.deployments.command_line import Run
from tests.deployments.pictures import write_classes, write_picture

COMMANDS = (
    "up",
    "down",
    "open",
    "status",
    "train",
    "predict",
    "details",
    "projects",
    "logs",
    "cancel",
    "key",
    "rollback",
    "history",
    "compare",
    "suggest",
    *(f"users {verb}" for verb in ("add", "list", "rotate", "remove", "limits")),
    "usage",
    "delete",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(run: Run, command: str) -> None:
    shown = run(*command.split(), "--help")
    assert shown.code == 0
    assert f"exemplar {command}" in shown.out.partition("Example:")[2]


@pytest.mark.parametrize("name", ["balanced", "staged", "scratch"])
def test_a_printed_recipe_is_read_as_the_same(run: Run, name: str) -> None:
    values = tomllib.loads(run("recipe", name).out)
    expected = Recipe.from_name(name)
    assert Recipe.of(json.dumps(values)) == replace(expected, name="custom")


def test_help_and_projects_load_nothing_heavy(connected: None) -> None:
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
    assert "no example is named" in run("predict", project).err


def test_predict_draws_its_reasons_beside_the_picture(
    server: ApiServer,
    run: Run,
    project: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run("train", write_classes(tmp_path / "data", 10), "--project", project, "--no-wait")
    server.serve_endpoint(project)
    picture = write_picture(tmp_path / "photo.bmp", seed=1)
    shown = run("predict", project, picture, "--explain")
    drawn = tmp_path / "photo.explained.png"
    assert shown.code == 0
    assert str(drawn) in shown.out.replace("\n", "")
    with Image.open(drawn) as image:
        assert image.size == (448, 448)
    folder = tmp_path / "why"
    document = run(
        "predict", project, picture, "--explain", "--overlays", folder, "--json"
    ).document
    (answer,) = document["predictions"]
    assert answer["overlay"] == str(folder / drawn.name)
    assert (folder / drawn.name).read_bytes() == drawn.read_bytes()
    assert answer["explanation"]["map"]
    monkeypatch.setattr(server, "can_explain", False)
    assert "train the project again" in run("predict", project, picture, "--explain").err


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


def test_rollback_before_training_says_what_to_do(run: Run, client: Exemplar, project: str) -> None:
    client.create(project, ["cat", "dog"])
    shown = run("rollback", project, "--json")
    assert (shown.code, shown.document["error"]["code"]) == (1, "not_found")
    assert shown.document["error"]["fix"] == "train the project first"


def test_logs_and_cancel_need_a_job(run: Run, client: Exemplar, project: str) -> None:

    with Exemplar() as client:
        client.create(project, ["cat", "dog"])
    for command in ("logs", "cancel"):
        shown = run(command, project)
        assert shown.code == 1
        assert "has no jobs yet" in shown.err
