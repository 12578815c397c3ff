"""Starting jobs: what is refused before a machine starts, and what repeats harmlessly."""

import hashlib
import json
from typing import Any

import pytest

from contracts.errors import Unavailable
from contracts.identity import Project
from contracts.requests import AnnouncedFile, UploadRequest
from contracts.status import JobState
from lambdas import environment, ingest, uploads
from lambdas.state import ProjectRecord


def announce(project: Project, per_class: dict[str, int], upload: str = "u1") -> None:
    environment.state().create_project(
        ProjectRecord(project=project, kind="image", classes=("cat", "dog"))  # type: ignore[arg-type]
    )
    files = tuple(
        AnnouncedFile(
            label, f"{i}.jpg", 10, hashlib.sha256(f"{label}{i}".encode()).hexdigest(), "image/jpeg"
        )
        for label, count in per_class.items()
        for i in range(count)
    )
    uploads.announce(environment.s3(), environment.bucket(), project, UploadRequest(upload, files))


def start(project: Project, **request: Any) -> dict[str, Any]:
    event = {"user": project.user, "project": project.name, "request": request}
    return ingest.handler(event, None)


def test_what_is_missing_is_said_before_anything_starts() -> None:
    project = Project("ann", "few")
    announce(project, {"cat": 12, "dog": 9})
    answer = start(project, upload="u1")
    assert answer["http_status"] == 422
    assert "class 'dog' needs 1 more picture (" in answer["error"]["message"]
    assert environment.state().jobs(project) == []


def test_nothing_uploaded() -> None:
    project = Project("ann", "empty")
    environment.state().create_project(
        ProjectRecord(project=project, kind="image", classes=("cat", "dog"))  # type: ignore[arg-type]
    )
    assert start(project)["error"]["message"] == "nothing has been uploaded yet"


def test_the_orchestrator_is_down_then_the_same_job_is_taken_up_again() -> None:
    project = Project("ann", "down")
    announce(project, {"cat": 10, "dog": 10})
    first = start(project, upload="u1")
    second = start(project, upload="u1")
    assert (first["http_status"], first["error"]["code"]) == (503, "unavailable")
    assert second["http_status"] == 503
    jobs = environment.state().jobs(project)
    assert [job.state for job in jobs] == [JobState.QUEUED]


def test_a_finished_job_is_attached_to_and_a_failed_one_is_tried_again() -> None:
    project = Project("ann", "attach")
    announce(project, {"cat": 10, "dog": 10})
    start(project, upload="u1")
    state = environment.state()
    job = state.jobs(project)[0]
    state.update_job(project, job.job_id, state=JobState.DONE)
    assert start(project, upload="u1")["job"]["job_id"] == job.job_id
    assert start(project, upload="u1", again=True)["http_status"] == 503
    assert len(state.jobs(project)) == 2


@pytest.mark.parametrize("key", ["users/ann/x/datasets/abc/manifest.json", "weights/manifest.json"])
def test_other_manifests_in_the_bucket_start_nothing(key: str) -> None:
    event = {"Records": [{"s3": {"object": {"key": key}}}]}
    assert ingest.handler(event, None) == {}


def drop(project: Project, body: Any, upload: str = "dropped") -> dict[str, Any]:
    key = f"users/{project.user}/{project.name}/inbox/{upload}/manifest.json"
    environment.s3().put_object(Bucket=environment.bucket(), Key=key, Body=json.dumps(body))
    return {"Records": [{"s3": {"object": {"key": key}}}]}


def test_a_dropped_manifest_carries_its_own_list_and_refusals_are_left_beside_it() -> None:
    project = Project("ann", "drop")
    environment.state().create_project(
        ProjectRecord(project=project, kind="image", classes=("cat", "dog"))  # type: ignore[arg-type]
    )
    file = {
        "class": "cat",
        "name": "a.jpg",
        "size_bytes": 10,
        "sha256": "0" * 64,
        "content_type": "image/jpeg",
    }
    ingest.handler(drop(project, {"files": [file]}), None)
    refusal = environment.s3().get_object(
        Bucket=environment.bucket(), Key="users/ann/drop/inbox/dropped/refused.json"
    )
    assert "class 'cat' needs 9 more" in refusal["Body"].read().decode()


def test_a_drop_is_tried_again_by_lambda_when_prefect_is_down() -> None:
    project = Project("ann", "drop-down")
    announce(project, {"cat": 10, "dog": 10}, upload="dropped")
    with pytest.raises(Unavailable):
        ingest.handler(drop(project, {}), None)
