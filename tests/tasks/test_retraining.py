"""Trainings that start by themselves: the real function is asked, and Prefect takes its runs."""

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    temporary_settings,
)

from contracts.errors import ExemplarError, NotFound
from contracts.identity import Project
from contracts.manifest import Kind
from contracts.requests import AnnouncedFile, UploadRequest
from contracts.status import JobState
from deployments.work_pools import create_queues
from flows.retrain import retrain
from flows.retrain_due import retrain_due
from lambdas import uploads
from lambdas.feedback import Feedback, FeedbackLog
from lambdas.retraining import schedule_kept, watched_projects
from lambdas.state import ProjectRecord
from tasks import clients
from tasks.retraining import _asked
from tasks.settings import settings
from tests.deployments.api_server import create_ingest

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

DAY = 86_400.0


@flow
def retrained(
    user: str, project: str, upload: str, job_id: str, model: str, recipe: str, seed: int
) -> None:
    """Stands for the pipeline: nobody runs it here."""


@pytest.fixture(scope="module")
def function(
    prefect_server: None, emulator: Any, data_bucket: str, state_table: str
) -> Iterator[str]:
    """The stack's name, whose ingest function is there and starts runs at Prefect."""
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="retrained", type="process"), overwrite=True)
        create_queues(client, "retrained", 8)
        made = client.create_flow(retrained)
        client.create_deployment(made, "pipeline", work_pool_name="retrained")
    own = {
        "EXEMPLAR_BUCKET": data_bucket,
        "EXEMPLAR_TABLE": state_table,
        "EXEMPLAR_PIPELINE": "retrained/pipeline",
        "PREFECT_API_URL": str(PREFECT_API_URL.value()),
    }
    aws = {
        "AWS_ENDPOINT_URL": emulator.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in aws.items():
            patch.setenv(name, value)
        create_ingest("again-ingest", own)
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield "again"


@pytest.fixture
def ingest(function: str, tasks_environment: pytest.MonkeyPatch) -> None:
    tasks_environment.setenv("EXEMPLAR_STACK", function)
    settings.cache_clear()


def trained_project(name: str, **wanted: Any) -> Project:
    """With a finished training that had settings of its own."""
    project, state = Project("ann", name), clients.state()
    state.create_project(ProjectRecord(project, Kind.IMAGE, ("cat", "dog")))
    files = tuple(
        AnnouncedFile(label, f"{i}.png", 10, digest(f"{label}{i}"), "image/png")
        for label in ("cat", "dog")
        for i in range(10)
    )
    uploads.announce(clients.s3(), settings().bucket, project, UploadRequest("u1", files))
    job = _asked(project, {"upload": "u1", "recipe": "fast", "seed": 3})  # type: ignore[dict-item]
    state.update_job(project, job["job_id"], state=JobState.DONE)
    off = {"after_new_examples": 0, "on_drift": False, "every_days": 0}
    setting = {"retrain": off | wanted}
    with schedule_kept(state.table, project, setting):
        state.update_project(project, settings=setting)
    return project


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def give(project: Project, count: int) -> None:
    log = FeedbackLog(clients.state(), project)
    for number in range(count):
        log.put(Feedback(digest(f"new {number}"), "cat", 10, "image/png"), 100, 10**6)


def started_days_ago(project: Project, days: float) -> None:
    state = clients.state()
    job = state.job(project, state.project(project).last_job)
    key = (f"PROJECT#{project.slug}", f"JOB#{job.job_id}")
    assert state.table.update(key, {"created_at": job.created_at - days * DAY})


def test_enough_labels_train_as_before_and_once(ingest: None) -> None:
    project = trained_project("labels", after_new_examples=2)
    give(project, 1)
    assert retrain("ann", "labels", "labels") == ""
    give(project, 2)
    job_id = retrain("ann", "labels", "labels")
    job = clients.state().job(project, job_id)
    assert (job.recipe, job.seed, job.upload == "u1") == ("fast", 3, False)
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(job.flow_run_id)
    assert run.parameters["upload"] == job.upload
    assert retrain("ann", "labels", "labels") == ""  # nothing is new any more
    give(project, 3)
    assert retrain("ann", "labels", "drift") == ""  # nobody wants that


def test_who_is_due_trains_with_nothing_new_too(ingest: None) -> None:
    late = trained_project("late", every_days=30)
    soon = trained_project("soon", every_days=30)
    lost = trained_project("lost", after_new_examples=1)  # its event never came
    drifting = trained_project("drift", every_days=1, on_drift=True)
    give(drifting, 1)
    assert retrain("ann", "drift", "drift")
    assert retrain("ann", "drift", "drift") == ""  # there is nothing new to learn from
    started_days_ago(late, 31)
    started_days_ago(soon, 29)
    give(lost, 1)
    clients.state().table.delete(("USER#ann", "PROJECT#drift"))
    jobs = retrain_due()
    newest = {p: clients.state().project(p).last_job for p in (late, soon, lost)}
    assert sorted(jobs) == sorted([newest[late], newest[lost]])
    assert clients.state().job(late, newest[late]).upload == "u1"
    assert drifting not in watched_projects(clients.state().table)
    assert retrain_due() == []


def test_a_refusal_says_why_and_stops_no_other(ingest: None) -> None:
    short = trained_project("short", after_new_examples=1)
    other = trained_project("other", after_new_examples=1)
    for project in (short, other):
        give(project, 1)
    clients.state().update_project(short, classes=("cat", "dog", "bird"))
    with pytest.raises(ExemplarError, match="class 'bird' needs 10 more"):
        retrain("ann", "short", "labels")
    assert len(retrain_due()) == 1


def test_who_is_named_is_checked(ingest: None) -> None:
    with pytest.raises(ExemplarError, match="may hold only"):
        retrain("ann", "../cats", "labels")
    with pytest.raises(NotFound):
        retrain("ann", "nobodys", "labels")
