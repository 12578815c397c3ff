"""`exemplar feedback`, and trainings without a folder."""

import hashlib
import io
from pathlib import Path

import pytest

from contracts.identity import Project
from contracts.manifest import Kind
from contracts.status import JobState
from deployments.client import Exemplar
from tests.deployments.api_server import USER, ApiServer
from tests.deployments.command_line import Run
from tests.deployments.pictures import write_classes, write_picture


@pytest.fixture
def trained(server: ApiServer, run: Run, project: str, tmp_path: Path) -> str:
    """A project whose only training has ended."""
    folder = write_classes(tmp_path / "data", 11)
    job = run("train", folder, "--project", project, "--recipe", "fast", "--no-wait", "--json")
    server.state.update_job(Project(USER, project), job.document["job_id"], state=JobState.DONE)
    return project


def test_a_training_without_a_folder_learns_what_is_new(
    server: ApiServer, run: Run, trained: str, tmp_path: Path
) -> None:
    new = write_picture(tmp_path / "new.png", seed=77)
    known = tmp_path / "data" / "cat" / "3.png"
    given = run("feedback", trained, new, known, "--label", "dog")
    assert (given.code, given.err) == (0, "")
    assert f"{str(new)[:60]}: dog" in given.out
    assert "2 examples with feedback, 2 not learnt yet" in given.out
    assert f"exemplar train --project {trained}" in given.out
    begun = run("train", "--project", trained, "--no-wait")
    assert "training with 2 new examples from feedback (2 in all)" in begun.out
    (job, first) = server.state.jobs(Project(USER, trained))
    assert (job.recipe, first.recipe) == ("fast", "fast")
    assert job.upload != first.upload
    again = run("train", "--project", trained, "--no-wait")
    assert "training with 0 new examples" in again.out
    without = run("train", "--project", trained, "--no-wait", "--json", "--no-feedback")
    assert without.document["job_id"] == first.job_id


def test_labels_are_listed_and_taken_back(run: Run, trained: str, tmp_path: Path) -> None:
    path = write_picture(tmp_path / "new.png", seed=78)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    one = run("feedback", trained, path, "--label", "cat", "--json").document
    assert one["examples"][0]["sha256"] == sha256
    listed = run("feedback", trained)
    assert sha256[:12] in listed.out
    assert "1 examples with feedback" in listed.out
    assert run("feedback", trained, "--json").document["examples"][0]["label"] == "cat"
    assert run("feedback", trained, "--take-back", sha256).code == 0
    assert run("feedback", trained, "--json").document["feedback"] == 0


def test_one_bad_example_does_not_lose_the_others(run: Run, trained: str, tmp_path: Path) -> None:
    good = write_picture(tmp_path / "good.png", seed=79)
    (tmp_path / "notes.txt").write_text("no picture")
    done = run("feedback", trained, tmp_path / "notes.txt", good, "--label", "cat", "--json")
    assert done.code == 1
    assert "no picture" in done.err
    assert ["error" in one for one in done.document["examples"]] == [True, False]
    refused = run("feedback", trained, good, "--label", "bird")
    assert (refused.code, "use one of ['cat', 'dog']" in refused.err) == (1, True)
    assert "no label is given" in run("feedback", trained, good).err


def test_a_large_picture_goes_straight_to_storage(
    server: ApiServer, client: Exemplar, run: Run, trained: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.feedback_calls._INLINE_BYTES", 100)
    picture = b"\x89PNG\r\n\x1a\n" + bytes(5_000)
    answer = client.give_feedback(trained, picture, "cat", answered="dog")
    assert answer["stored"]
    key = f"users/{USER}/{trained}/objects/{hashlib.sha256(picture).hexdigest()}"
    assert key in server.stored(trained)
    assert client.give_feedback(trained, picture, "dog")["feedback"] == 1
    assert client.feedback(trained)["examples"][0]["size_bytes"] == len(picture)


def test_texts_come_from_arguments_and_lines(
    run: Run, client: Exemplar, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.create(project, ["ham", "spam"], kind=Kind.TEXT)
    monkeypatch.setattr("sys.stdin", io.StringIO("one line\n\nanother\n"))
    done = run("feedback", project, "you have won", "-", "--label", "spam", "--json")
    assert done.code == 0
    texts = [one["text"] for one in client.feedback(project)["examples"]]
    assert texts == ["another", "one line", "you have won"]
    misspelt = run("feedback", project, "you have won", "--lable", "spam")
    assert (misspelt.code, "--lable" in misspelt.err) == (2, True)
