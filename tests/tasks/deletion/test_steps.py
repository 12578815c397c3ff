"""A project with something everywhere goes, whole, counted once, and alone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Any

import pytest
from prefect.logging import disable_run_logger

from contracts.errors import BeingDeleted, Conflict, ExemplarError, NotFound
from contracts.identity import Project
from contracts.manifest import Kind
from contracts.status import Job
from lambdas import deletion as api
from lambdas import uploads
from lambdas.feedback import Feedback, FeedbackLog
from lambdas.receipts import Receipts
from lambdas.state import ProjectRecord, ReleaseRecord, VersionRecord
from tasks import clients
from tasks.deletion import steps, tally
from tasks.deletion.parts import PARTS, RECORD
from tasks.deletion.tally import Batch, Deletion, Part
from tasks.settings import settings
from tests.tasks.deletion.conftest import Furnish, Look

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"
)


class Killed(BaseException):
    """The process is gone: no handler sees it."""


def run(deletion: Deletion) -> None:
    """What the flow does, without Prefect's engine around each step."""
    for _ in range(6):
        if not deletion.is_due():
            break
        tally.settle(deletion, (*PARTS, RECORD))
        if not sum(tally.sweep(deletion, part) for part in PARTS):
            break
    tally.settle(deletion, (*PARTS, RECORD))
    tally.sweep(deletion, RECORD)


def test_killed_before_and_after_every_step_it_counts_everything_once(
    furnish: Furnish, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, neighbours = Project("ann", "my"), (Project("ann", "my-cat"), Project("bob", "my"))
    for neighbour in neighbours:
        furnish(neighbour)
    before = [look(neighbour) for neighbour in neighbours]
    wanted = furnish(project)
    receipt = api.delete(clients.state(), project)
    deletion = Deletion(project, receipt.receipt_id)
    kills = 0
    for _ in each_kill(monkeypatch):
        try:
            run(deletion)
        except Killed:
            kills += 1
        else:
            break
    assert deletion.receipt().counts == wanted
    assert kills > 60
    assert look(project) == {}
    assert [look(neighbour) for neighbour in neighbours] == before


def each_kill(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each round dies a little later: what is to be written down is lost, then it is written.

    Before every second of these writes a batch has been removed.
    """
    real_step, left = Receipts.step, {"moments": 0}

    def moment() -> None:
        if left["moments"] == 0:
            raise Killed
        left["moments"] -= 1

    def step(self: Receipts, user: str, receipt: Any, **changes: Any) -> Any:
        moment()
        found = real_step(self, user, receipt, **changes)
        moment()
        return found

    monkeypatch.setattr(Receipts, "step", step)
    while True:
        for moments in (0, 1):
            left["moments"] = moments
            yield


def marked(name: str) -> Deletion:
    """An empty project, deleted as far as the API does it."""
    project = Project("dan", name)
    clients.state().create_project(ProjectRecord(project, Kind.IMAGE, ("cat", "dog")))
    return Deletion(project, api.delete(clients.state(), project).receipt_id)


def put(deletion: Deletion, name: str) -> str:
    key = f"users/dan/{deletion.project.name}/{name}"
    clients.s3().put_object(Bucket=settings().bucket, Key=key, Body=b"1")
    return key


def test_old_versions_and_what_hides_them_go_too(places: pytest.MonkeyPatch, emulator: Any) -> None:
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket="versioned")
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    places.setenv("EXEMPLAR_BUCKET", "versioned")
    settings.cache_clear()
    deletion = marked("old")
    for _ in range(3):
        put(deletion, "objects/one")
    hidden = put(deletion, "objects/two")
    s3.delete_object(Bucket="versioned", Key=hidden)
    run(deletion)
    counts = deletion.receipt().counts
    assert (counts["examples"], counts["old_versions"], counts["delete_markers"]) == (1, 3, 1)
    left = s3.list_object_versions(Bucket="versioned")
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")


def test_thousands_of_objects_are_counted_once(places: pytest.MonkeyPatch) -> None:
    deletion = marked("many")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: put(deletion, f"objects/{number:064}"), range(2_300)))
    run(deletion)
    assert deletion.receipt().counts["examples"] == 2_300


def test_a_run_with_another_receipt_deletes_nothing(furnish: Furnish, look: Look) -> None:
    project = Project("dan", "kept")
    furnish(project)
    before = look(project)
    gone = marked("other")
    run(gone)
    with pytest.raises(NotFound, match="not of project"):
        tally.sweep(Deletion(project, gone.receipt_id), PARTS[6])
    run_with_any_receipt = Deletion(project, gone.receipt_id)
    assert not run_with_any_receipt.is_due()
    assert look(project) == before


def test_a_process_that_was_taken_for_dead_counts_no_more(places: pytest.MonkeyPatch) -> None:
    deletion = marked("zombie")
    user, stale = deletion.project.user, deletion.receipt()
    tally.receipts().step(user, stale, counts={"jobs": 1})
    with pytest.raises(Conflict, match="another process"):
        tally.receipts().step(user, stale, counts={"jobs": 9})
    assert deletion.receipt().counts == {"jobs": 1}


def test_what_does_not_go_is_said_and_not_tried_for_ever(places: pytest.MonkeyPatch) -> None:
    deletion = marked("stuck")
    stuck = Part(
        "stuck", "removing it", lambda _: repeat(Batch(("one",), {"x": 1})), lambda *_: None
    )
    with pytest.raises(ExemplarError, match="'one' is still there"):
        tally.sweep(deletion, stuck)


def test_who_keeps_on_writing_is_named(
    places: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    deletion, real = marked("writes"), tally.sweep

    def sweep_and_write(deletion: Deletion, part: Part) -> int:
        removed = real(deletion, part)
        put(deletion, f"objects/after-{part.name}")
        return removed

    monkeypatch.setattr(tally, "sweep", sweep_and_write)
    monkeypatch.setattr(steps, "_ROUNDS", 2)
    with pytest.raises(ExemplarError, match="something still writes"):
        steps.sweep_again.fn(deletion)
    assert deletion.is_due()


def test_a_late_one_takes_what_came_since_and_nothing_of_a_new_project(
    places: pytest.MonkeyPatch,
) -> None:
    deletion = marked("again")
    run(deletion)
    steps.finish.fn(deletion)
    late = Deletion(deletion.project, deletion.receipt_id, is_late=True)
    put(late, "objects/straggler")
    with disable_run_logger():
        found = [part.name for n, part in enumerate(PARTS) if steps.sweep.fn(late, n)]
    assert found == ["objects"]
    steps.finish.fn(late)
    receipt = late.receipt()
    assert receipt.counts["examples"] == 1
    assert receipt.swept_again_at > receipt.finished_at
    clients.state().create_project(ProjectRecord(late.project, Kind.TEXT, ("a", "b")))
    key = put(late, "objects/new")
    with disable_run_logger():
        assert not any(steps.sweep.fn(late, n) for n in range(len(PARTS)))
    steps.finish.fn(late)
    assert clients.s3().head_object(Bucket=settings().bucket, Key=key)
    assert clients.state().project(late.project).kind is Kind.TEXT


def test_what_a_killed_late_one_was_at_is_not_taken_from_a_new_project(
    places: pytest.MonkeyPatch,
) -> None:
    deletion = marked("renewed")
    run(deletion)
    steps.finish.fn(deletion)
    receipt = deletion.receipt()
    noted = {"part": "items", "ids": ["KEYS"], "amounts": {"key_records": 1}}
    tally.receipts().step("dan", receipt, pending=noted)
    clients.state().create_project(ProjectRecord(deletion.project, Kind.IMAGE, ("a", "b")))
    clients.state().put_key(deletion.project, "xk_new")
    late = Deletion(deletion.project, deletion.receipt_id, is_late=True)
    tally.settle(late, (*PARTS, RECORD))
    assert clients.state().count_keys(deletion.project) == 1
    assert late.receipt().pending == {}
    assert late.receipt().counts == receipt.counts


def test_addresses_that_take_uploads_have_expired_when_it_is_looked_again() -> None:
    assert steps.LATE_SECONDS > uploads.POST_SECONDS + 60


def test_nothing_under_way_brings_anything_back(places: pytest.MonkeyPatch) -> None:
    deletion = marked("under-way")
    state, project = clients.state(), deletion.project
    writes = (
        lambda: state.put_version(project, VersionRecord("m", "1", "d", "j", 1, "a", "r", 0.9)),
        lambda: state.put_release(project, ReleaseRecord("m", "1", 1, "a", "r")),
        lambda: state.update_project(project, model_version="m"),
        lambda: state.put_key(project, "xk_x"),
        lambda: state.set_access(project, "iam", 5),
        lambda: state.create_job(Job(project, "j", "u")),
        lambda: FeedbackLog(state, project).put(Feedback("a" * 64, "cat", 1), 9, 9),
    )
    for write in writes:
        with pytest.raises(BeingDeleted):
            write()
    run(deletion)
    for write in writes:
        with pytest.raises(NotFound):
            write()
    assert state.table.sort_keys(f"PROJECT#{project.slug}") == []
