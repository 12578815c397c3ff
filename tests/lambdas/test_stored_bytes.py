"""Bytes are counted once, before they come, and set right by what has come."""

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest

from contracts.errors import QuotaExceeded
from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.quotas import Quotas
from lambdas import environment
from lambdas.ledger import Ledger
from lambdas.stored_bytes import StoredBytes

_numbers = count()
LIMIT = 1_000


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(Quotas, "stored_bytes", LIMIT)
    monkeypatch.setattr("lambdas.stored_bytes._LISTED_SECONDS", 0.0)
    return Project(f"bytes-{next(_numbers)}", "p")


@pytest.fixture
def stored(project: Project) -> StoredBytes:
    return environment.stored_bytes(project.user)


def put(project: Project, size: int, seed: str = "") -> None:
    key = ProjectKeys(project).object(hashlib.sha256(f"{size}{seed}".encode()).hexdigest())
    environment.s3().put_object(Bucket=environment.bucket(), Key=key, Body=b"x" * size)


def age(project: Project, seconds: float) -> None:
    """Let everything have been announced so much earlier."""
    table = environment.state().table
    for entry in Ledger(table, project.user, "BYTES").entries():
        table.update(
            (f"ACCOUNT#{project.user}", f"BYTES#{entry.name}"),
            {"taken_at": entry.taken_at - seconds},
        )


def test_racing_announcements_do_not_pass_the_quota(project: Project, stored: StoredBytes) -> None:
    def announce(number: int) -> bool:
        try:
            stored.announce(project, f"batch{number}", 300)
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(announce, range(20))) == 3
    assert stored.taken() == 900


def test_a_batch_counts_once_however_often_it_is_announced(
    project: Project, stored: StoredBytes
) -> None:
    for missing in (800, 800, 300):  # what is still missing becomes less
        stored.announce(project, "batch", missing)
    assert stored.taken() == 800
    with pytest.raises(QuotaExceeded, match="your quota is"):
        stored.announce(project, "other", 300)


def test_what_has_come_is_not_counted_twice(project: Project, stored: StoredBytes) -> None:
    put(project, 200)  # long ago
    time.sleep(1.1)
    stored.announce(project, "batch", 500)
    put(project, 500)
    stored.check(project)
    assert stored.taken() == 700
    age(project, 5_000)
    stored.check(project)
    assert stored.taken() == 700
    assert [e.name for e in Ledger(environment.state().table, project.user, "BYTES").entries()] == [
        "p#stored"
    ]


def test_files_that_never_came_make_room_when_their_addresses_have_expired(
    project: Project, stored: StoredBytes
) -> None:
    stored.announce(project, "batch", 900)
    with pytest.raises(QuotaExceeded):
        stored.announce(project, "other", 200)
    age(project, 5_000)
    stored.announce(project, "other", 200)
    assert stored.taken() == 200


def test_a_small_announcement_does_not_hide_what_is_sent_beside_it(
    project: Project, stored: StoredBytes
) -> None:
    """Contents written after an open announcement count, however little it announced."""
    stored.announce(project, "tiny", 1)
    put(project, 900)
    stored.check(project)
    assert stored.taken() >= 900
    with pytest.raises(QuotaExceeded):
        stored.announce(project, "more", 200)


def test_files_that_came_past_the_api_are_found_before_a_training(
    project: Project, stored: StoredBytes
) -> None:
    put(project, 600)
    stored.check(project)
    put(Project(project.user, "q"), 600)
    with pytest.raises(QuotaExceeded, match="your projects hold"):
        stored.check(Project(project.user, "q"))


def test_a_deleted_projects_bytes_come_back(project: Project, stored: StoredBytes) -> None:
    put(project, 900)
    stored.check(project)
    s3 = environment.s3()
    for entry in s3.list_objects_v2(
        Bucket=environment.bucket(), Prefix=ProjectKeys(project).prefix
    )["Contents"]:
        s3.delete_object(Bucket=environment.bucket(), Key=entry["Key"])
    stored.announce(Project(project.user, "q"), "batch", 900)
    stored.settle_deleted({"q"})
    assert stored.taken() == 900


def test_more_objects_than_one_listing_page_are_all_counted(
    project: Project, stored: StoredBytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3, sizes = environment.s3(), list(range(1, 61))
    for size in sizes:
        put(project, size)

    def by_twenty(**arguments: Any) -> Any:
        return s3.list_objects_v2(**arguments, MaxKeys=20)

    class Paged:
        list_objects_v2 = staticmethod(by_twenty)
        get_paginator = staticmethod(s3.get_paginator)

    monkeypatch.setattr(stored, "_s3", Paged())
    monkeypatch.setattr(Quotas, "stored_bytes", 10**6)
    stored.check(project)
    assert stored.taken() == sum(sizes)


def test_the_api_refuses_before_it_hands_out_addresses(
    call: Any, project: Project, stored: StoredBytes
) -> None:
    user = project.user
    body = {"name": "p", "kind": "image", "classes": ["cat", "dog"]}
    assert call("POST", "/v1/projects", body, user=user)[0] == 201
    files = [
        {
            "class": "cat",
            "name": f"{number}.png",
            "size_bytes": 600,
            "sha256": f"{number}" * 64,
            "content_type": "image/png",
        }
        for number in (1, 2)
    ]
    path = "/v1/projects/p/uploads"
    status, answer = call("POST", path, {"files": files}, user=user)
    assert (status, answer["error"]["code"]) == (403, "quota_exceeded")
    assert "delete a project" in answer["error"]["fix"]
    assert call("POST", path, {"files": files[:1]}, user=user)[0] == 200
    assert stored.taken() == 600
