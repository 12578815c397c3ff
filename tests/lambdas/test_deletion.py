"""Deleting a project over the API: closed at once, gone on with by whoever asks again."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL
from prefect.states import Failed

from contracts.identity import Project
from contracts.manifest import Kind
from contracts.status import Job, JobState
from lambdas import deletion, environment, ingest, orchestrator
from lambdas.receipts import Receipts
from lambdas.state import ProjectRecord

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
Call = Callable[..., tuple[int, Any]]


@flow
def deleted(user: str, project: str, receipt: str, is_late: bool = False) -> None:
    """Stands for the deletion: nobody runs it here."""


@flow
def trains() -> None:
    """Stands for a run of a project."""


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orchestrator, "_ATTEMPTS", 1)


@pytest.fixture
def prefect(prefect_server: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))
    monkeypatch.setenv("EXEMPLAR_DELETION", "deleted/of-the-api")
    with get_client(sync_client=True) as client:
        client.create_deployment(client.create_flow(deleted), "of-the-api")
        yield client


def made(name: str, user: str = "ann") -> Project:
    project, state = Project(user, name), environment.state()
    state.create_project(ProjectRecord(project, Kind.IMAGE, ("cat", "dog")))
    state.put_key(project, "xk_key")
    state.create_job(Job(project, "j1", "u1"))
    return project


def end(project: Project, receipt: str) -> None:
    """What the flow does last."""
    assert environment.state().remove_project(project, receipt)
    Receipts(environment.state().table).finish(project.user, receipt, ["this"])


FILE = {
    "class": "cat",
    "name": "1.png",
    "size_bytes": 9,
    "sha256": "0" * 64,
    "content_type": "image/png",
}
CALLS: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("PATCH", "", {"approval": True}),
    ("POST", "/key", None),
    ("POST", "/uploads", {"upload": "u1", "files": [FILE]}),
    ("GET", "/jobs", None),
    ("GET", "/jobs/j1", None),
    ("DELETE", "/jobs/j1", None),
    ("POST", "/rollback", None),
    ("GET", "/models", None),
    ("GET", "/models/x", None),
    ("GET", "/bundle", None),
    ("GET", "/report", None),
]


def test_from_the_first_call_on_all_others_are_refused(call: Call) -> None:
    project, state = made("closed"), environment.state()
    status, receipt = call("DELETE", "/v1/projects/closed")
    assert status == 202
    assert receipt["counts"] == {"keys": 1}
    assert not receipt["is_done"]
    for method, path, body in CALLS:
        status, answer = call(method, f"/v1/projects/closed{path}", body)
        assert (status, answer["error"]["code"]) == (409, "being_deleted"), path
    body = {"name": "closed", "kind": "image", "classes": ["cat", "dog"]}
    assert call("POST", "/v1/projects", body)[0] == 409
    assert "closed" not in {p["project"] for p in call("GET", "/v1/projects")[1]["projects"]}
    assert state.count_keys(project) == 0
    assert state.job(project, "j1").state is JobState.CANCELLED
    event = {"user": "ann", "project": "closed", "request": {"upload": "u1"}}
    assert ingest.handler(event, None)["error"]["code"] == "being_deleted"


def test_a_drop_into_what_is_being_deleted_leaves_no_refusal(call: Call) -> None:
    made("dropping")
    call("DELETE", "/v1/projects/dropping")
    key = "users/ann/dropping/inbox/u1/manifest.json"
    environment.s3().put_object(Bucket=environment.bucket(), Key=key, Body=b"{}")
    ingest.handler({"Records": [{"s3": {"object": {"key": key}}}]}, None)
    found = environment.s3().list_objects_v2(
        Bucket=environment.bucket(), Prefix="users/ann/dropping/"
    )
    assert [entry["Key"] for entry in found["Contents"]] == [key]


def test_others_neither_delete_it_nor_see_its_receipt(call: Call) -> None:
    made("mine")
    assert call("DELETE", "/v1/projects/mine", user="eve")[0] == 404
    assert call("GET", "/v1/projects/mine")[0] == 200
    _, receipt = call("DELETE", "/v1/projects/mine")
    path = f"/v1/receipts/{receipt['receipt_id']}"
    assert call("GET", path)[0] == 200
    assert call("GET", path, user="eve")[0] == 404
    assert call("GET", "/v1/receipts", user="eve")[1] == {"receipts": []}
    assert call("DELETE", "/v1/projects/..%2fx")[0] in {400, 404}
    assert call("GET", "/v1/receipts/a%20b")[0] in {400, 404}


def test_without_prefect_it_stays_closed_and_says_how_to_go_on(call: Call) -> None:
    made("no-prefect")
    status, receipt = call("DELETE", "/v1/projects/no-prefect")
    assert status == 202
    assert receipt["failure"]["code"] == "unavailable"
    assert call("GET", "/v1/projects/no-prefect")[0] == 409


def test_repeating_it_finds_the_same_run_until_that_has_ended(call: Call, prefect: Any) -> None:
    project = made("repeated")
    receipts = Receipts(environment.state().table)

    def again() -> str:
        _, receipt = call("DELETE", "/v1/projects/repeated")
        assert receipt["failure"] == {}
        assert "flow_run_id" not in receipt
        return receipts.receipt("ann", receipt["receipt_id"]).flow_run_id

    first = again()
    run = prefect.read_flow_run(UUID(first))
    assert run.parameters["project"] == "repeated"
    assert again() == first
    prefect.set_flow_run_state(run.id, Failed(), force=True)
    second = again()
    assert second not in {first, ""}
    assert again() == second
    prefect.delete_flow_run(UUID(second))
    assert again() not in {first, second}
    assert len(receipts.receipts("ann")) == len({r.receipt_id for r in receipts.receipts("ann")})
    assert receipts.latest(project).counts == {"keys": 1}  # type: ignore[union-attr]


def test_its_runs_are_told_to_stop_and_no_other_projects(call: Call, prefect: Any) -> None:
    made("stops")
    runs = {
        name: prefect.create_flow_run(trains, tags=[f"project:ann_{name}"])
        for name in ("stops", "stops-not")
    }
    call("DELETE", "/v1/projects/stops")
    states = {name: prefect.read_flow_run(run.id).state for name, run in runs.items()}
    assert states["stops"].is_cancelled() or states["stops"].is_cancelling()
    assert not states["stops-not"].is_final()


def test_when_it_is_gone_the_receipt_is_the_answer_and_the_name_is_free(call: Call) -> None:
    project = made("leaving")
    receipt = call("DELETE", "/v1/projects/leaving")[1]["receipt_id"]
    end(project, receipt)
    for path in ("/v1/projects/leaving", f"/v1/projects/leaving?receipt={receipt}"):
        status, found = call("DELETE", path)
        assert (status, found["receipt_id"], found["is_done"]) == (200, receipt, True)
    assert found["stays"] == ["this"]
    assert "pending" not in found
    made("leaving")
    status, found = call("DELETE", f"/v1/projects/leaving?receipt={receipt}")
    assert (status, found["is_done"]) == (200, True)
    assert call("GET", "/v1/projects/leaving")[0] == 200  # the new one stays
    status, found = call("DELETE", "/v1/projects/leaving")
    assert status == 202
    assert found["receipt_id"] > receipt
    assert call("DELETE", f"/v1/projects/other?receipt={receipt}")[0] == 404
    item = environment.state().table.get(("USER#ann", f"RECEIPT#{receipt}"))
    assert item is not None
    assert item["expires_at"] > item["finished_at"] + 360 * 86_400


@pytest.mark.parametrize("receipt", ["", "../x", "A"])
def test_a_receipt_that_is_none_begins_no_deletion(call: Call, receipt: str) -> None:
    made(project := f"kept-{len(receipt)}")
    assert call("DELETE", f"/v1/projects/{project}?receipt={receipt}")[0] == 400
    assert call("GET", f"/v1/projects/{project}")[0] == 200


def test_killed_after_the_mark_the_next_call_makes_the_receipt(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = made("half")
    with monkeypatch.context() as patch:
        patch.setattr(Receipts, "open", lambda *_: 1 / 0)
        assert call("DELETE", "/v1/projects/half")[0] == 500
    marked = environment.state().find_project(project)
    assert marked is not None
    assert call("DELETE", "/v1/projects/half")[1]["receipt_id"] == marked.deletion


def test_killed_after_the_record_went_the_next_call_goes_on(call: Call, prefect: Any) -> None:
    project = made("nearly")
    receipt = deletion.delete(environment.state(), project)
    environment.state().remove_project(project, receipt.receipt_id)
    status, found = call("DELETE", "/v1/projects/nearly")
    assert (status, found["receipt_id"]) == (202, receipt.receipt_id)
