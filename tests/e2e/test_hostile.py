"""Everything hostile at once, sent as people send it: jobs end with reasons, endpoints answer."""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from contracts.errors import ExemplarError
from contracts.manifest import Kind
from deployments.client import Exemplar
from deployments.folder import LabelledFolder, LocalFile
from serving.access import FRESH_SECONDS
from tests.hostile.drawn import Hostile
from tests.hostile.names import NAMES
from tests.hostile.pictures import KINDS, hostile_pictures
from tests.hostile.requests import Request, hostile_requests
from tests.hostile.tables import KINDS as TABLE_KINDS
from tests.hostile.tables import hostile_tables

pytestmark = [pytest.mark.stack, pytest.mark.soak]

SENDERS = 8
CLASSES = ("digit 0", "digit 1", "digit 4")


def local(path: Path, label: str, name: str, content_type: str) -> LocalFile:
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    # As folders are read: JSON has no half characters.
    name = name.encode("utf-8", "replace").decode()
    return LocalFile(path, label, name, len(data), digest, content_type)


def written(folder: Path, files: list[Hostile], content_type: str) -> Iterator[LocalFile]:
    """Announced under names and types that have nothing to do with them."""
    for number, file in enumerate(files):
        path = folder / file.id
        path.write_bytes(file.data)
        name = f"{NAMES[number % len(NAMES)]}{number}"[-512:]
        yield local(path, CLASSES[number % 3], name, content_type)


def test_hostile_pictures_are_set_aside_and_the_rest_is_learnt(
    stack: Any, digits: Any, tmp_path: Path
) -> None:
    sound = [
        local(path, path.parent.name, path.name, "image/png")
        for path in digits(tmp_path / "sound", 40).rglob("*.png")
    ]
    files = [file for file in hostile_pictures(4 * len(KINDS), seed=3) if file.data]
    bad = list(written(tmp_path, files, "image/png"))
    with stack.client() as client:
        folder = LabelledFolder(CLASSES, (*sound, *bad), ())
        job = client.train(folder, "hostile-pictures", recipe="fast", budget_seconds=900)
        report = client.details("hostile-pictures")["report"]
    print(
        f"{len(sound)} sound, {len(bad)} hostile: {job.state}", json.dumps(report, indent=1)[:6_000]
    )
    assert job.state == "done", job.failure
    aside = {finding["reason"]: finding for finding in report["set_aside"]}
    assert {"unreadable", "too-large", "odd-shape", "too-small"} <= set(aside)
    assert all(finding["note"] for finding in aside.values())
    assert sum(counts["set_aside"] for counts in report["classes"]) >= len(bad) / 3


def test_an_empty_file_is_refused_when_it_is_announced(stack: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    with stack.client() as client:
        client.create("hostile-empty", list(CLASSES))
        folder = LabelledFolder(
            CLASSES, (local(tmp_path / "empty", CLASSES[0], "empty", "image/png"),), ()
        )
        with pytest.raises(ExemplarError, match="size_bytes") as refusal:
            client.upload("hostile-empty", folder)
    assert refusal.value.fix


def test_every_hostile_table_ends_with_a_reason(stack: Any, tmp_path: Path) -> None:
    ends = Counter[str]()
    for number, table in enumerate(hostile_tables(len(TABLE_KINDS), seed=4)):
        path = tmp_path / table.id
        path.write_bytes(table.data or b" ")
        with stack.client() as client:
            said = learnt(client, f"hostile-table-{number}", path)
        print(f"{table.id:16} {said[:200]}")
        ends[said.partition(":")[0]] += 1
    print(ends)
    assert set(ends) <= {"refused", "done", "failed"}


def learnt(client: Exemplar, project: str, path: Path) -> str:
    file = local(path, "", NAMES[len(project) % len(NAMES)] or "rows", "text/csv")
    client.create(project, kind=Kind.TEXT)
    try:
        job = client.train(LabelledFolder((), (file,), (), Kind.TEXT), project, min_per_class=6)
    except ExemplarError as error:
        return f"refused: {error.message} | {error.fix}" if error.fix else f"no fix: {error}"
    if job.state == "failed":
        assert job.failure["fix"], job.failure
        assert "unexpected" not in job.failure["message"], job.failure
    return f"{job.state}: {job.failure}"


def test_a_thousand_requests_at_once_have_a_thousand_answers(trained: Any) -> None:
    client, _, _ = trained
    endpoint, key = client.endpoint("digits"), client.saved_key("digits")
    client.change_settings("digits", requests_per_minute=100_000)
    time.sleep(FRESH_SECONDS)  # until every container has heard of it
    before = workers()
    with httpx.Client(timeout=90, trust_env=False) as http, ThreadPoolExecutor(SENDERS) as pool:
        answers = list(
            pool.map(lambda one: send(http, endpoint, key, one), hostile_requests(1_100, seed=5))
        )
    sent = [answer for answer in answers if answer is not None]
    statuses = Counter(answer.status_code for answer in sent)
    slowest = sorted(answer.elapsed.total_seconds() for answer in sent)[-5:]
    print(f"{len(sent)} sent: {sorted(statuses.items())}, slowest {slowest} s")
    print(f"functions before {before} MiB, after {workers()} MiB")
    assert len(sent) >= 1_000
    assert max(statuses) < 500, [answer.text[:300] for answer in sent if answer.is_server_error]
    for answer in sent:
        if answer.request.method != "HEAD" and "model_version" in answer.text:
            body = answer.json()
            assert answer.status_code == 200 or {"code", "message", "fix"} <= set(body["error"])
    assert max(workers().values(), default=0) < 1_000


def send(http: httpx.Client, endpoint: str, key: str, one: Request) -> httpx.Response | None:
    """None for what no HTTP client can put on the wire."""
    headers = {"x-api-key": key, "content-type": one.content_type} | one.headers
    try:
        request = http.build_request(
            one.method,
            endpoint.rstrip("/") + one.path,
            params=one.query or None,
            headers=headers,
            content=one.body,
        )
        return http.send(request)
    except (UnicodeEncodeError, httpx.LocalProtocolError, httpx.InvalidURL):
        return None


def workers() -> dict[int, int]:
    """Memory of each function's process, MiB by process id."""
    return {
        process.pid: process.memory_info().rss // 2**20
        for process in psutil.process_iter(["cmdline"])
        if any("lambda_bootstrap" in part for part in process.info["cmdline"] or ())
    }
