"""Starting jobs: what is refused before a machine starts, and what repeats harmlessly."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from contracts.errors import Unavailable
from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.manifest import Kind
from contracts.requests import AnnouncedFile, UploadRequest
from contracts.status import JobState
from lambdas import environment, ingest, orchestrator, uploads
from lambdas.state import ProjectRecord
from tests.lambdas.acting import acting


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


def called(event: dict[str, Any], context: Any) -> dict[str, Any]:
    with acting("IngestRole"):
        return ingest.handler(event, context)


def start(project: Project, **request: Any) -> dict[str, Any]:
    event = {"user": project.user, "project": project.name, "request": request}
    return called(event, None)


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
    assert called(event, None) == {}


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
    called(drop(project, {"files": [file]}), None)
    refusal = environment.s3().get_object(
        Bucket=environment.bucket(), Key="users/ann/drop/inbox/dropped/refused.json"
    )
    assert "class 'cat' needs 9 more" in refusal["Body"].read().decode()


@pytest.mark.parametrize(
    "body", ["{", "[]", '"a"', '{"seed": NaN}', '{"upload": "\\ud800"}', "[" * 10_000, "\xff"]
)
def test_a_drop_that_is_no_json_object_is_refused_once_and_not_tried_again(body: str) -> None:
    project = Project("ann", "drop-odd")
    environment.state().create_project(ProjectRecord(project, Kind.IMAGE, ("cat", "dog")))
    key = "users/ann/drop-odd/inbox/dropped/manifest.json"
    s3, bucket = environment.s3(), environment.bucket()
    s3.put_object(Bucket=bucket, Key=key, Body=body.encode("latin-1"))
    assert ingest.handler({"Records": [{"s3": {"object": {"key": key}}}]}, None) == {}
    refusal = s3.get_object(Bucket=bucket, Key=key.replace("manifest", "refused"))
    assert json.loads(refusal["Body"].read())["error"]["code"] == "invalid_request"


def test_a_drop_is_tried_again_by_lambda_when_prefect_is_down() -> None:
    project = Project("ann", "drop-down")
    announce(project, {"cat": 10, "dog": 10}, upload="dropped")
    with pytest.raises(Unavailable):
        called(drop(project, {}), None)


def announce_table(project: Project, data: bytes, upload: str = "t1", **more: Any) -> None:
    environment.state().create_project(
        ProjectRecord(project=project, kind=Kind.TEXT, classes=(), has_open_classes=True)
    )
    digest = hashlib.sha256(data).hexdigest()
    file = AnnouncedFile("", "rows.csv", len(data), digest, "text/csv", **more)
    uploads.announce(
        environment.s3(), environment.bucket(), project, UploadRequest(upload, (file,))
    )
    key = ProjectKeys(project).object(digest)
    environment.s3().put_object(Bucket=environment.bucket(), Key=key, Body=data)


def test_the_columns_of_a_table_are_told_for_confirmation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orchestrator, "start_pipeline", lambda *_: "run-1")
    project = Project("ann", "table")
    announce_table(project, b"Message;Kind\n" + rows({"ham": 100, "spam": 100}, ";"))
    answer = start(project, upload="t1")
    assert answer["job"]["kind"] == "text"
    assert answer["job"]["model"] == "minilm_l6"
    (table,) = answer["tables"]
    assert table["name"] == "rows.csv"
    assert table["columns"] == {
        "text": "Message",
        "label": "Kind",
        "split": None,
        "delimiter": "semicolon",
        "header": True,
        "encoding": "utf-8",
    }


def rows(counts: dict[str, int], delimiter: str = ",") -> bytes:
    """So many different texts of each label."""
    lines = [f"text {n}{delimiter}{name}" for name, count in counts.items() for n in range(count)]
    return "\n".join([*lines, ""]).encode()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (rows({"ham": 100, "spam": 97}), ["class 'spam' needs 3 more rows (100 needed, 97 diff"]),
        (rows({"ham": 99, "spam": 2}), ["class 'ham' needs 1 more row ", "class 'spam' needs 98"]),
        (rows({"ham": 100}) + rows({"spam": 1}) * 100, ["class 'spam' needs 99 more rows"]),
    ],
)
def test_a_small_table_is_counted_before_anything_starts(data: bytes, said: list[str]) -> None:
    project = Project("ann", f"few-{len(data)}")
    announce_table(project, b"text,label\n" + data)
    answer = start(project, upload="t1")
    assert answer["http_status"] == 422
    details = answer["error"]["details"]
    assert all(line.startswith(begin) for line, begin in zip(details, said, strict=True)), details
    assert "min_per_class" in answer["error"]["fix"]


def test_one_label_alone_is_nothing_to_learn() -> None:
    project = Project("ann", "alone")
    announce_table(project, b"text,label\n" + rows({"ham": 200}))
    assert "at least 2 different labels" in start(project, upload="t1")["error"]["message"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x00\x01\x02binary", "zero bytes"),
        (b"PK\x03\x04workbook", "Excel"),
        (b"x" * 200_000, "the first line has more than"),
        (b"a,b\n1,2\n3,4\n5,6\n7,8\n9,0\n", "no text and label"),
        (b"\n\n", "holds no text"),
    ],
)
def test_a_bad_table_is_refused_before_anything_starts(data: bytes, said: str) -> None:
    project = Project("ann", f"bad-{len(data)}")
    announce_table(project, data)
    answer = start(project, upload="t1")
    assert answer["http_status"] == 422
    assert "'rows.csv'" in answer["error"]["message"]
    assert said in answer["error"]["message"]
    assert answer["error"]["fix"]
    assert environment.state().jobs(project) == []


def test_a_table_that_never_arrived_is_told() -> None:
    project = Project("ann", "absent")
    announce_table(project, b"text,label\na,x\nb,y\n")
    digest = hashlib.sha256(b"text,label\na,x\nb,y\n").hexdigest()
    environment.s3().delete_object(
        Bucket=environment.bucket(), Key=ProjectKeys(project).object(digest)
    )
    assert "has not arrived" in start(project, upload="t1")["error"]["message"]


def test_a_model_of_pictures_cannot_learn_text() -> None:
    project = Project("ann", "wrong-model")
    announce_table(project, b"text,label\na,x\nb,y\n")
    answer = start(project, upload="t1", model="mobilenet_v2")
    assert answer["http_status"] == 400
    assert "minilm_l6" in answer["error"]["fix"]


def test_of_many_starts_at_once_no_more_become_jobs_than_the_quotas_allow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(orchestrator, "start_pipeline", lambda *_: "run-1")
    project = Project("quota-race", "p")
    announce(project, {"cat": 10, "dog": 10})
    environment.state().accounts.give_quotas(project.user, {"trainings_per_day": 3})
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda seed: start(project, upload="u1", seed=seed), range(20)))
    refused = [answer for answer in answers if "error" in answer]
    assert (len(refused), len(environment.state().jobs(project))) == (17, 3)
    assert {answer["error"]["code"] for answer in refused} == {"quota_exceeded"}
    seed = next(seed for seed, answer in enumerate(answers) if "job" in answer)
    assert "job" in start(project, upload="u1", seed=seed)  # attaching is no new training


def test_a_drop_beyond_the_quota_is_refused_beside_it() -> None:
    project = Project("quota-drop", "p")
    announce(project, {"cat": 10, "dog": 10}, upload="dropped")
    environment.state().accounts.give_quotas(project.user, {"jobs": 0})
    called(drop(project, {}), None)
    refusal = environment.s3().get_object(
        Bucket=environment.bucket(), Key="users/quota-drop/p/inbox/dropped/refused.json"
    )
    assert json.load(refusal["Body"])["error"]["code"] == "quota_exceeded"
