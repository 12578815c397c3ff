"""Deleting from Python and the command line, against the API; the flow's end is played here."""

import threading
import time
from typing import Any

import pytest

from contracts.errors import Unauthorized
from contracts.identity import Project
from contracts.manifest import Kind
from deployments import awaited_deletion
from deployments.api_calls import ApiError
from deployments.awaited_deletion import DeletionStuck
from deployments.client import Exemplar
from lambdas.receipts import Receipts
from lambdas.state import ProjectRecord
from tests.deployments.api_server import USER, ApiServer
from tests.deployments.command_line import Run

CLASSES = ["cat", "dog"]


def receipts(server: ApiServer) -> Receipts:
    return Receipts(server.state.table)


def finish(server: ApiServer, name: str) -> None:
    """What the flow does last."""
    project = Project(USER, name)
    record = server.state.find_project(project)
    assert record is not None
    assert record.deletion
    counts = {"keys": 1, "examples": 1_203, "bytes": 5_000_000, "jobs": 0}
    receipts(server).note(USER, record.deletion, counts=counts)
    server.state.remove_project(project, record.deletion)
    receipts(server).finish(USER, record.deletion, ["your bills"])


def finish_soon(server: ApiServer, name: str) -> threading.Thread:
    """As soon as the project is marked."""

    def watch() -> None:
        while True:
            record = server.state.find_project(Project(USER, name))
            if record and record.deletion and receipts(server).find(USER, record.deletion):
                break
            time.sleep(0.02)
        finish(server, name)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_it_waits_for_the_receipt_and_forgets_the_key(
    client: Exemplar, server: ApiServer, project: str
) -> None:
    client.create(project, CLASSES)
    client.create(f"{project}-2", CLASSES)
    seen: list[dict[str, Any]] = []

    def on_update(receipt: dict[str, Any]) -> None:
        seen.append(receipt)
        if len(seen) == 1:
            finish(server, project)

    receipt = client.delete(project, on_update, poll_seconds=0.01)
    assert receipt["is_done"]
    assert receipt["counts"]["examples"] == 1_203
    assert [one["is_done"] for one in seen] == [False, True]
    with pytest.raises(Unauthorized):
        client.saved_key(project)
    assert client.saved_key(f"{project}-2")
    assert client.delete(project) == receipt
    assert client.receipts()[0]["receipt_id"] == receipt["receipt_id"]
    with pytest.raises(ApiError, match="no project"):
        client.delete("never-was")


def test_what_stands_still_is_pushed_and_a_new_project_is_safe(
    client: Exemplar, server: ApiServer, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(awaited_deletion, "_QUIET_SECONDS", 0.2)
    client.create(project, CLASSES)
    calls = 0

    def on_update(receipt: dict[str, Any]) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            failure = {"code": "x", "message": "it broke", "fix": "again"}
            receipts(server).note(USER, receipt["receipt_id"], failure=failure)
        elif receipts(server).receipt(USER, receipt["receipt_id"]).attempt == 2:
            if server.state.find_project(Project(USER, project)).deletion:  # type: ignore[union-attr]
                finish(server, project)
            record = ProjectRecord(Project(USER, project), Kind.IMAGE, ("a", "b"))
            server.state.create_project(record)

    assert client.delete(project, on_update, poll_seconds=0.05)["is_done"]
    assert client.details(project)["classes"] == ["a", "b"]


def test_who_waits_is_told_when_it_fails_again_and_again(
    client: Exemplar, server: ApiServer, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(awaited_deletion, "_QUIET_SECONDS", 0.2)
    client.create(project, CLASSES)

    def fail(receipt: dict[str, Any]) -> None:
        failure = {"code": "x", "message": "it broke", "fix": "mend it"}
        receipts(server).note(USER, receipt["receipt_id"], failure=failure)

    with pytest.raises(DeletionStuck, match="is closed, but not all of it has gone: it broke"):
        client.delete(project, fail, poll_seconds=0.01)


def test_the_command_asks_then_prints_what_went(
    run: Run, client: Exemplar, server: ApiServer, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.create(project, CLASSES)
    nobody = run("delete", project)
    assert (nobody.code, "add --yes" in nobody.err) == (1, True)
    assert "cat, dog" in nobody.out
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "y")
    assert "nothing was changed" in run("delete", project).err
    assert client.details(project)["classes"] == CLASSES
    monkeypatch.setattr("builtins.input", lambda _: project)
    thread = finish_soon(server, project)
    shown = run("delete", project)
    thread.join()
    assert shown.code == 0
    assert f"{project} is deleted" in shown.out
    assert "1,203  examples" in shown.out
    assert "5.0 MB  of data" in shown.out
    assert "jobs" not in shown.out
    assert "- your bills" in shown.out
    again = run("delete", project, "--json").document
    assert again["counts"]["examples"] == 1_203


def test_for_programs_it_prints_one_object(
    run: Run, client: Exemplar, server: ApiServer, project: str
) -> None:
    client.create(project, CLASSES)
    thread = finish_soon(server, project)
    shown = run("delete", project, "--yes", "--json")
    thread.join()
    assert shown.document["project"] == project
    assert shown.document["is_done"] is True
    assert run("delete", "never-was", "--yes", "--json").document["error"]["code"] == "not_found"
