"""Trainings on a list that people edit: what attaches, and what is another training."""

import hashlib
from typing import Any

import pytest

from contracts.collection import Remove
from contracts.identity import Project
from contracts.limits import Limits
from contracts.requests import AnnouncedFile, UploadRequest
from contracts.status import JobState
from lambdas import environment, training_data, uploads
from lambdas.collection import Collection, unchanged
from lambdas.feedback import Feedback, FeedbackLog
from tests.lambdas.test_feedback_upload import end, files_of, give, started
from tests.lambdas.test_ingest import announce, announce_table, start

__all__ = ["started"]


def picture(content: str, label: str = "cat") -> AnnouncedFile:
    digest = hashlib.sha256(content.encode()).hexdigest()
    return AnnouncedFile(label, f"{content}.jpg", 10, digest, "image/jpeg")


def add(project: Project, *files: AnnouncedFile) -> None:
    """As the page does."""
    s3, bucket, state = environment.s3(), environment.bucket(), environment.state()
    Collection(s3, bucket, state, project, Limits()).open()
    uploads.announce(s3, bucket, project, UploadRequest("examples", files))


def edited(project: Project, cats: int = 10, dogs: int = 10) -> Project:
    announce(project, {"cat": cats, "dog": dogs}, upload="examples")
    environment.state().update_project(project, last_upload="examples")
    return project


def job_of(answer: dict[str, Any]) -> str:
    return str(answer["job"]["job_id"])


@pytest.mark.parametrize("with_feedback", [True, False])
@pytest.mark.parametrize("is_done", [True, False])
def test_the_same_examples_attach_and_others_are_another_job(
    started: list[str], with_feedback: bool, is_done: bool
) -> None:
    project = edited(Project("ann", f"again-{with_feedback}-{is_done}".lower()))
    first = start(project, with_feedback=with_feedback)
    if is_done:
        end(project, first)
    assert job_of(start(project, with_feedback=with_feedback)) == job_of(first)
    add(project, picture("one more"))
    second = start(project, with_feedback=with_feedback)
    assert job_of(second) != job_of(first)
    assert job_of(start(project, with_feedback=with_feedback)) == job_of(second)
    assert [len(files_of(project, upload)) for upload in started] == [20, 21]
    assert "examples" not in started
    record = environment.state().project(project)
    assert (record.last_upload, record.last_request["upload"]) == ("examples", "examples")


def test_labels_that_come_while_a_job_runs_do_not_start_a_second_one(started: list[str]) -> None:
    project = edited(Project("ann", "edited-meanwhile"))
    first = start(project)
    give(project, "a new one", "cat")
    assert job_of(start(project)) == job_of(first)
    assert job_of(start(project, as_before=True)) != job_of(first)
    assert [len(files_of(project, upload)) for upload in started] == [20, 21]


def test_examples_that_are_as_before_find_their_job_again(started: list[str]) -> None:
    project = edited(Project("ann", "back-again"))
    first = start(project)
    end(project, first)
    add(project, picture("one more"))
    end(project, start(project))
    one = picture("one more")
    changes = Collection(
        environment.s3(), environment.bucket(), environment.state(), project, Limits()
    )
    changes.change(Remove(frozenset({(one.sha256, "cat")})))
    assert job_of(start(project)) == job_of(first)
    assert len(started) == 2


def test_an_upload_of_the_command_line_stays_itself(started: list[str]) -> None:
    project = Project("ann", "cli-then-page")
    announce(project, {"cat": 10, "dog": 10}, upload="cli")
    environment.state().update_project(project, last_upload="cli")
    assert start(project)["job"]["upload"] == "cli"
    add(project, picture("one more"))
    start(project)
    assert start(project, upload="cli")["job"]["upload"] == "cli"
    assert len(started) == 2


def test_a_training_waits_for_a_change(started: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_data, "_WAIT_SECONDS", 0.2)
    project = edited(Project("ann", "being-edited"))
    with unchanged(environment.state(), project):
        refused = start(project)
        assert (refused["http_status"], refused["error"]["code"]) == (409, "busy")
        assert start(project, check_only=True)["can_train"] is True
    assert "job" in start(project)


def test_a_check_starts_and_writes_nothing(started: list[str]) -> None:
    project = edited(Project("ann", "checked"))
    give(project, "a new one", "cat")
    before = everything(project)
    found = start(project, check_only=True)
    assert found["can_train"] is True
    assert (found["examples"], found["running"], found["trained"]) == (21, "", "")
    assert found["feedback"] == {"examples": 1, "new": 1, "left_out": 0}
    assert found["estimate"]["seconds"] > 0
    assert (everything(project), started) == (before, [])
    job = start(project)
    assert start(project, check_only=True)["running"] == job_of(job)
    end(project, job)
    assert start(project, check_only=True)["trained"] == job_of(job)
    assert start(project, check_only=True, again=True)["trained"] == ""


def everything(project: Project) -> Any:
    """What there is of a project, and what its owner has of the quotas."""
    s3, state = environment.s3(), environment.state()
    listing = s3.list_objects_v2(
        Bucket=environment.bucket(), Prefix=f"users/{project.user}/{project.name}/"
    )
    keys = [entry["Key"] for entry in listing["Contents"]]
    partitions = (f"PROJECT#{project.slug}", f"ACCOUNT#{project.user}", f"USER#{project.user}")
    return keys, state.project(project), [state.table.sort_keys(pk) for pk in partitions]


@pytest.mark.parametrize("per_class", [(9, 8), (0, 10)])
def test_a_check_says_what_the_training_would_say(per_class: tuple[int, int]) -> None:
    cats, dogs = per_class
    project = edited(Project("ann", f"lacking-{cats}-{dogs}"), cats, dogs)
    found, refused = start(project, check_only=True), start(project)
    assert found["can_train"] is False
    assert found["problem"] == refused["error"]
    assert found["examples"] == cats + dogs
    assert len(found["problem"]["details"]) == (cats < 10) + (dogs < 10)


def test_a_check_of_nothing_names_every_class() -> None:
    project = Project("ann", "nothing-yet")
    announce(project, {}, upload="u1")
    found = start(project, check_only=True)
    assert found["problem"]["message"] == "nothing has been uploaded yet"
    assert [line.split(" needs")[0] for line in found["problem"]["details"]] == [
        "class 'cat'",
        "class 'dog'",
    ]
    assert found["can_train"] is False


@pytest.mark.parametrize("quota", ["jobs", "trainings_per_day"])
def test_a_check_foresees_the_quotas(started: list[str], quota: str) -> None:
    project = edited(Project(f"foresee-{quota.replace('_', '-')}", "p"))
    environment.state().accounts.give_quotas(project.user, {quota: 1})
    first = start(project)
    add(project, picture("one more"))
    found = start(project, check_only=True)
    assert (found["can_train"], found["problem"]["code"]) == (False, "quota_exceeded")
    assert found["problem"]["message"] == start(project)["error"]["message"]
    end(project, first)
    assert start(project, check_only=True)["can_train"] is (quota == "jobs")


def test_a_check_foresees_stored_bytes(started: list[str]) -> None:
    project = edited(Project("foresee-bytes", "p"))
    key = f"users/{project.user}/p/objects/{'0' * 64}"
    environment.s3().put_object(Bucket=environment.bucket(), Key=key, Body=b"0" * 1_000)
    environment.stored_bytes(project.user).check(project)
    environment.state().accounts.give_quotas(project.user, {"stored_gib": 0})
    found = start(project, check_only=True)
    assert (found["can_train"], found["problem"]) == (False, start(project)["error"])


def test_what_is_wrong_with_the_request_is_no_answer_of_a_check() -> None:
    project = edited(Project("ann", "wrong-check"))
    assert start(project, check_only=True, min_per_class=1)["http_status"] == 400
    assert start(Project("ann", "no-such"), check_only=True)["http_status"] == 404


def test_feedback_on_texts_is_checked_without_being_stored(started: list[str]) -> None:
    project = Project("ann", "texts-checked")
    rows = "".join(f"hello {n},ham\nwin {n},spam\n" for n in range(100))
    announce_table(project, f"text,label\n{rows}".encode(), upload="examples")
    environment.state().update_project(project, last_upload="examples")
    log = FeedbackLog(environment.state(), project)
    log.put(Feedback(hashlib.sha256(b"win").hexdigest(), "ham", 3, text="win"), 10, 1_000)
    before = everything(project)
    found = start(project, check_only=True)
    assert [table["name"] for table in found["tables"]] == ["rows.csv", "feedback.csv"]
    assert everything(project) == before
    assert start(project)["job"]["state"] == JobState.QUEUED
