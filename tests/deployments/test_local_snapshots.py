"""State files: whole or not at all, only when something changed, code in files of its own."""

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployments.local.blobs import Blobs
from deployments.local.snapshots import Snapshots, may_change


def snapshots(folder: Path, sources: dict[str, Callable[[], Any]]) -> Snapshots:
    return Snapshots(folder, Blobs(folder / "blobs"), lambda: sources, lambda _, state: state, str)


def read(folder: Path, name: str) -> Any:
    return json.loads(
        (folder / f"{name}.json").read_text(), object_hook=Blobs(folder / "blobs").restore
    )


def test_large_bytes_go_to_a_file_of_their_own_and_come_back(tmp_path: Path) -> None:
    code = os.urandom(100_000)
    state = {"functions": {"a": code, "b": code}}
    snapshots(tmp_path, {"lambda": lambda: state}).save_changed()
    assert (tmp_path / "lambda.json").stat().st_size < 500
    assert len(list((tmp_path / "blobs").iterdir())) == 1
    restored = read(tmp_path, "lambda")
    assert restored["functions"]["b"] == code


def test_restored_copies_share_memory(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    name = blobs.store(b"x" * 9000)
    assert blobs.restore({"__blob__": name}) is blobs.restore({"__blob__": name})


def test_code_that_no_state_names_is_removed(tmp_path: Path) -> None:
    state = {"code": os.urandom(9000)}
    saved = snapshots(tmp_path, {"lambda": lambda: state})
    saved.save_changed()
    state["code"] = os.urandom(9000)
    saved._services["lambda"].due_at = 0
    saved.save_changed()
    blobs = Blobs(tmp_path / "blobs")
    assert len(list((tmp_path / "blobs").iterdir())) == 2
    blobs.prune([tmp_path / "lambda.json"])
    assert len(list((tmp_path / "blobs").iterdir())) == 1
    assert read(tmp_path, "lambda") == state


def test_unchanged_state_is_not_written_again(tmp_path: Path) -> None:
    saved = snapshots(tmp_path, {})
    saved.write("iam", {"roles": ["r"]})
    (tmp_path / "iam.json").unlink()
    saved.write("iam", {"roles": ["r"]})
    assert not (tmp_path / "iam.json").exists()


def test_a_service_never_used_gets_no_file_but_an_emptied_one_is_written(tmp_path: Path) -> None:
    saved = snapshots(tmp_path, {})
    saved.write("iam", {"roles": {}})
    assert not (tmp_path / "iam.json").exists()
    saved.write("iam", {"roles": {"r": 1}})
    saved.write("iam", {"roles": {}})
    assert read(tmp_path, "iam") == {"roles": {}}


def test_a_service_that_failed_to_load_keeps_its_file(tmp_path: Path) -> None:
    (tmp_path / "iam.json").write_text('{"roles": ["old"]}')
    snapshots(tmp_path, {"iam": lambda: None}).save_changed()
    assert read(tmp_path, "iam") == {"roles": ["old"]}


def test_state_that_changes_while_it_is_copied_is_tried_again(tmp_path: Path) -> None:
    def restless() -> Any:
        raise RuntimeError("dictionary changed size during iteration")

    saved = snapshots(tmp_path, {"dynamodb": restless, "iam": lambda: {"roles": ["r"]}})
    assert saved.save_changed() is True
    assert read(tmp_path, "iam") == {"roles": ["r"]}, "one service does not keep others waiting"


def test_a_change_is_saved_in_the_background(tmp_path: Path) -> None:
    state = {"roles": ["r"]}
    saved = snapshots(tmp_path, {"iam": lambda: state})
    saved.start()
    try:
        saved.mark_changed()
        deadline = time.monotonic() + 20
        while not (tmp_path / "iam.json").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        saved.stop()
    assert not any(thread.name == "snapshots" for thread in threading.enumerate())


@pytest.mark.parametrize(
    ("method", "operation", "expected"),
    [
        ("GET", "", False),
        ("HEAD", "", False),
        ("PUT", "", True),
        ("DELETE", "", True),
        ("POST", "", True),
        ("POST", "DynamoDB_20120810.GetItem", False),
        ("POST", "DynamoDB_20120810.Query", False),
        ("POST", "DynamoDB_20120810.PutItem", True),
        ("POST", "DynamoDB_20120810.BatchWriteItem", True),
    ],
)
def test_which_requests_may_change_state(method: str, operation: str, expected: bool) -> None:
    headers = [(b"x-amz-target", operation.encode())] if operation else []
    assert may_change({"method": method, "headers": headers}) is expected
