"""A person's word before a release, on a real Prefect server."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prefect import flow
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    temporary_settings,
)

from contracts.identity import Project
from contracts.manifest import Kind
from contracts.status import Job
from lambdas import orchestrator
from lambdas.state import ProjectRecord
from models.champion import Check, Decision
from tasks import clients
from tasks.approval import approved
from tasks.progress import Progress
from tasks.settings import settings

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

BETTER = Decision(True, "better: 9 won, 1 lost", (Check("luck", True, "p = 0.01", "below 0.1"),))
WORSE = Decision(False, "kept the present model", ())


@flow
def inner(project: Project, decision: Decision, is_draft: bool) -> Decision:
    """Asks inside a flow run below the pipeline's, as `promote` does."""
    return approved(project, decision, Progress(project, "j1"), is_draft)


@flow
def outer(project: Project, decision: Decision, is_draft: bool = False) -> Decision:
    return inner(project, decision, is_draft)


@pytest.fixture
def asking(
    prefect_server: None, tasks_environment: pytest.MonkeyPatch, request: Any
) -> Iterator[Project]:
    """A project that wants to be asked, with a running job."""
    tasks_environment.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))
    tasks_environment.setattr("tasks.approval._POLL_SECONDS", 0.2)
    project = Project("ann", f"asks-{abs(hash(request.node.name)) % 10**8}")
    state = clients.state()
    state.create_project(
        ProjectRecord(project, Kind.IMAGE, ("cat", "dog"), settings={"approval": True})
    )
    state.create_job(Job(project, "j1", "u1"))
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield project


def when_asked(project: Project, then: Callable[[dict[str, Any]], Any]) -> threading.Thread:
    def wait() -> None:
        for _ in range(200):
            approval = clients.state().job(project, "j1").approval
            if approval.get("state") == "waiting":
                return then(approval)
            time.sleep(0.1)
        raise AssertionError("nobody asked")

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def answer(run: dict[str, Any], approve: bool, note: str = "", by: str = "ann") -> None:
    body = {"approve": approve, "note": note, "by": by}
    for _ in range(50):
        if orchestrator.answer_pause(run["flow_run_id"], body):
            return
        time.sleep(0.1)
    raise AssertionError("the answer was not taken")


def test_who_agrees_is_part_of_the_reason(asking: Project) -> None:
    thread = when_asked(asking, lambda run: answer(run, True, "seen on ten new pictures"))
    decision = outer(asking, BETTER)
    thread.join()
    assert decision.promote
    assert decision.reason == ("better: 9 won, 1 lost; approved by ann: seen on ten new pictures")
    stored = clients.state().job(asking, "j1").approval
    assert (stored["state"], stored["by"]) == ("approved", "ann")
    assert not orchestrator.answer_pause(stored["flow_run_id"], {"approve": False})


def test_a_refusal_keeps_what_is_live(asking: Project) -> None:
    thread = when_asked(asking, lambda run: answer(run, False, "no night pictures"))
    decision = outer(asking, BETTER)
    thread.join()
    assert not decision.promote
    assert "ann refused it (no night pictures)" in decision.reason
    assert decision.checks[-1].name == "approval"
    assert not decision.checks[-1].passed


def test_an_answer_without_sense_changes_nothing(asking: Project) -> None:
    def confuse(run: dict[str, Any]) -> None:
        assert not orchestrator.answer_pause(run["flow_run_id"], {"approve": "perhaps"})
        answer(run, False)

    thread = when_asked(asking, confuse)
    assert not outer(asking, BETTER).promote
    thread.join()


def test_silence_is_no_agreement(asking: Project, tasks_environment: pytest.MonkeyPatch) -> None:
    tasks_environment.setenv("EXEMPLAR_APPROVAL_HOURS", str(1.2 / 3_600))
    settings.cache_clear()
    decision = outer(asking, BETTER)
    assert not decision.promote
    assert "nobody approved it" in decision.reason
    assert clients.state().job(asking, "j1").approval["state"] == "expired"


def test_nobody_is_asked_about_a_draft_or_a_worse_model(asking: Project) -> None:
    assert "a draft is not released" in outer(asking, BETTER, is_draft=True).reason
    assert outer(asking, WORSE) == WORSE
    assert clients.state().job(asking, "j1").approval == {}


def test_the_default_is_not_to_ask(asking: Project) -> None:
    clients.state().update_project(asking, settings={})
    assert outer(asking, BETTER) == BETTER
