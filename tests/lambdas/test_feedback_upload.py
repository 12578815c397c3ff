"""Trainings with feedback: what is trained on, what attaches, and what counts as new."""

import hashlib
from typing import Any

import pytest

from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.limits import Limits
from contracts.requests import AnnouncedFile, TrainRequest
from contracts.status import JobState
from lambdas import environment, orchestrator, uploads
from lambdas.feedback import Feedback, FeedbackLog
from tests.lambdas.test_ingest import announce, announce_table, start


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Uploads that pipelines were started with; Prefect takes every run."""
    seen: list[str] = []

    def start_pipeline(_project: Any, job_id: str, request: TrainRequest, _others: Any) -> str:
        seen.append(request.upload)
        return f"run-{job_id}"

    monkeypatch.setattr(orchestrator, "start_pipeline", start_pipeline)
    return seen


def feedback_log(project: Project) -> FeedbackLog:
    return FeedbackLog(environment.state(), project)


def give(project: Project, content: str, label: str) -> None:
    digest = hashlib.sha256(content.encode()).hexdigest()
    feedback_log(project).put(Feedback(digest, label, 10, "image/jpeg", content), 100, 10**6)


def files_of(project: Project, upload: str) -> dict[str, AnnouncedFile]:
    """By content, of which each is there once."""
    found = uploads.announced_files(
        environment.s3(), environment.bucket(), project, upload, Limits()
    )
    return {file.sha256: file for file in found}


def end(project: Project, answer: dict[str, Any]) -> None:
    environment.state().update_job(project, answer["job"]["job_id"], state=JobState.DONE)


def test_feedback_joins_the_upload_and_repeats_attach(started: list[str]) -> None:
    project = Project("ann", "joined")
    announce(project, {"cat": 11, "dog": 10})
    end(project, start(project, upload="u1"))
    give(project, "cat0", "dog")  # lies in the upload as a cat
    give(project, "a new one", "cat")
    first = start(project, upload="u1")
    assert first["feedback"] == {"examples": 2, "new": 2, "left_out": 0}
    assert feedback_log(project).count().new == 0
    files = files_of(project, started[-1])
    assert len(files) == 22
    corrected, new = files[digest_of("cat0")], files[digest_of("a new one")]
    assert (corrected.class_name, corrected.name, corrected.is_feedback) == ("dog", "0.jpg", False)
    assert (new.class_name, new.is_feedback) == ("cat", True)
    end(project, first)
    again = start(project, upload="u1")
    assert again["job"]["job_id"] == first["job"]["job_id"]
    assert again["feedback"]["new"] == 0
    without = start(project, upload="u1", with_feedback=False)
    assert without["job"]["upload"] == "u1"
    assert "feedback" not in without
    assert len(started) == 2


def digest_of(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def test_labels_that_come_while_a_job_runs_do_not_start_a_second_one(started: list[str]) -> None:
    project = Project("ann", "meanwhile")
    announce(project, {"cat": 10, "dog": 10})
    first = start(project, upload="u1", min_per_class=8)
    give(project, "a new one", "cat")
    assert start(project, upload="u1", min_per_class=8)["job"]["job_id"] == first["job"]["job_id"]
    assert feedback_log(project).count().new == 1
    # Whoever asks for a training with what is new gets one, with the same settings.
    second = start(project, as_before=True)
    assert second["job"]["job_id"] != first["job"]["job_id"]
    assert environment.state().project(project).last_request["min_per_class"] == 8
    assert len(files_of(project, started[-1])) == 21


def test_as_before_keeps_to_the_upload_that_was_trained(started: list[str]) -> None:
    project = Project("ann", "before")
    announce(project, {"cat": 10, "dog": 10})
    recipe = {"preset": "fast", "epochs": 3}
    end(project, start(project, upload="u1", recipe=recipe, seed=7))
    environment.state().update_project(project, last_upload="half-sent")
    give(project, "a new one", "cat")
    job = start(project, as_before=True, budget_seconds=60)["job"]
    assert (job["recipe"], job["seed"]) == ('{"epochs":3,"preset":"fast"}', 7)
    record = environment.state().project(project)
    assert record.last_request["upload"] == record.last_upload == "u1"
    assert record.last_request["budget_seconds"] == 60


def test_feedback_on_a_class_that_is_gone_is_left_out(started: list[str]) -> None:
    project = Project("ann", "gone")
    announce(project, {"cat": 10, "dog": 10})
    give(project, "a bird", "bird")
    answer = start(project, upload="u1")
    assert answer["feedback"] == {"examples": 0, "new": 0, "left_out": 1}
    assert started == ["u1"]


def test_feedback_counts_towards_what_a_class_needs(started: list[str]) -> None:
    project = Project("ann", "counts")
    announce(project, {"cat": 10, "dog": 9})
    assert start(project, upload="u1")["http_status"] == 422
    give(project, "cat0", "dog")
    assert "class 'cat' needs 1 more" in start(project, upload="u1")["error"]["message"]
    give(project, "one more", "cat")
    assert "job" in start(project, upload="u1")


def test_a_start_that_failed_leaves_the_labels_new(monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project("ann", "unstarted")
    announce(project, {"cat": 10, "dog": 10})
    give(project, "a new one", "cat")
    assert start(project, upload="u1")["http_status"] == 503
    assert feedback_log(project).count().new == 1


def test_a_trained_list_outlasts_the_inbox(started: list[str]) -> None:
    project = Project("ann", "outlasts")
    announce(project, {"cat": 10, "dog": 10})
    part = ProjectKeys(project).inbox_parts("u1")
    s3, bucket = environment.s3(), environment.bucket()
    (entry,) = s3.list_objects_v2(Bucket=bucket, Prefix=part)["Contents"]

    def expires() -> str:
        tags = s3.get_object_tagging(Bucket=bucket, Key=entry["Key"])["TagSet"]
        return tags[0]["Value"]

    assert expires() == "inbox"
    start(project, upload="u1")
    assert expires() == "never"
    assert "no longer" in start(project, upload="u2")["error"]["message"]


def test_texts_come_as_one_more_table(started: list[str]) -> None:
    project = Project("ann", "more-texts")
    rows = "".join(f"hello {n},ham\nwin {n},spam\n" for n in range(100))
    announce_table(project, f"text,label\n{rows}win,spam\n".encode())
    end(project, start(project, upload="t1"))
    give(project, "win", "ham")
    answer = start(project, upload="t1")
    assert [table["name"] for table in answer["tables"]] == ["rows.csv", "feedback.csv"]
    (table,) = (file for file in files_of(project, started[-1]).values() if file.is_feedback)
    stored = (
        environment.s3()
        .get_object(Bucket=environment.bucket(), Key=ProjectKeys(project).object(table.sha256))[
            "Body"
        ]
        .read()
    )
    assert stored == b'"text","label"\n"win","ham"\n'
