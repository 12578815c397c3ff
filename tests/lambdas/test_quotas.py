"""Quotas as callers meet them: at the limit, past it at once, and after something has ended."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from contracts.errors import QuotaExceeded
from contracts.identity import Project
from contracts.manifest import Kind
from contracts.status import Job, JobState
from lambdas import environment
from lambdas.credentials import digest
from lambdas.ledger import Ledger
from lambdas.state import ProjectRecord
from lambdas.stored_bytes import STORED

IMAGES = {"kind": "image", "classes": ["cat", "dog"]}


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    name = "q-" + digest(request.node.name)[:12]
    environment.state().accounts.give_quotas(name, {"projects": 3, "jobs": 2})
    return name


def create(call: Any, user: str, name: str) -> tuple[int, Any]:
    return call("POST", "/v1/projects", IMAGES | {"name": name}, user=user)


def test_twenty_calls_at_once_make_no_more_projects_than_allowed(call: Any, user: str) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda n: create(call, user, f"p{n}"), range(20)))
    assert sorted(status for status, _ in answers) == [201] * 3 + [403] * 17
    refused = next(answer for status, answer in answers if status == 403)["error"]
    assert refused["code"] == "quota_exceeded"
    assert refused["message"] == "you have 3 projects, your quota is 3"
    assert "delete one" in refused["fix"]
    assert len(call("GET", "/v1/projects", user=user)[1]["projects"]) == 3


def test_a_project_that_exists_is_never_refused(call: Any, user: str) -> None:
    for name in ("a", "b", "c"):
        assert create(call, user, name)[0] == 201
    environment.state().accounts.give_quotas(user, {"projects": 0})
    assert create(call, user, "a")[0] == 200
    assert create(call, user, "d")[0] == 403


def test_a_deleted_project_makes_room(
    call: Any, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        create(call, user, name)
    environment.state().table.delete((f"USER#{user}", "PROJECT#b"))
    monkeypatch.setattr("lambdas.quotas._BEING_MADE_SECONDS", 0.0)
    assert call("GET", "/v1/account", user=user)[1]["used"]["projects"] == 2
    environment.state().table.delete((f"USER#{user}", "PROJECT#c"))
    assert [create(call, user, name)[0] for name in ("d", "e", "f")] == [201, 201, 403]


def test_jobs_hold_their_place_until_they_end(user: str) -> None:
    state, held = environment.state(), environment.quotas(user)
    project = Project(user, "p")
    state.create_project(ProjectRecord(project, Kind.IMAGE, ("cat", "dog")))
    for job in ("j1", "j2"):
        held.take_training(project, job)
        state.create_job(Job(project, job, "u"))
    held.take_training(project, "j1")  # the same call again
    with pytest.raises(QuotaExceeded, match="2 of your jobs are waiting or running"):
        held.take_training(project, "j3")
    state.update_job(project, "j1", state=JobState.FAILED)
    held.take_training(project, "j3")
    with pytest.raises(QuotaExceeded):
        held.take_training(project, "j4")


def test_a_job_that_never_came_into_being_gives_its_place_back(
    user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, project = environment.quotas(user), Project(user, "p")
    held.take_training(project, "j1")
    held.take_training(project, "j2")
    with pytest.raises(QuotaExceeded):
        held.take_training(project, "j3")
    monkeypatch.setattr("lambdas.quotas._BEING_MADE_SECONDS", 0.0)
    held.take_training(project, "j3")


def test_yesterdays_trainings_do_not_count_today(user: str) -> None:
    environment.state().accounts.give_quotas(user, {"trainings_per_day": 1, "jobs": 9})
    held, project = environment.quotas(user), Project(user, "p")
    held.take_training(project, "j1")
    yesterday = {"taken_at": time.time() - 86_400}
    assert environment.state().table.update((f"ACCOUNT#{user}", "TRAININGS#j1"), yesterday)
    held.take_training(project, "j2")
    with pytest.raises(QuotaExceeded, match="1 trainings were started today") as refused:
        held.take_training(project, "j3")
    assert "hours" in refused.value.fix
    used = held.as_dict(environment.stored_bytes(user))
    assert (used["trainings_today"], used["jobs"]) == (1, 2)


def test_a_project_that_goes_gives_back_what_it_holds_and_no_more(user: str) -> None:
    state, held = environment.state(), environment.quotas(user)
    for name in ("p", "p-2"):
        held.take_project(name)
        held.take_training(Project(user, name), f"job-of-{name}")
        sizes = Ledger(state.table, user, "BYTES")
        for entry in (f"{name}#{STORED}", f"{name}#batch"):
            sizes.take(entry, 10, 10**9)
    others = held.names_of("p-2", with_announced=True)
    first = held.names_of("p", with_announced=False)
    assert first == ["PROJECTS#p", "JOBS#p#job-of-p", "BYTES#p#stored"]
    held.forget(first)
    held.forget(first)
    assert held.names_of("p", with_announced=True) == ["BYTES#p#batch"]  # it may still come
    held.forget(["BYTES#p#batch"])
    assert held.names_of("p", with_announced=True) == []
    assert held.names_of("p-2", with_announced=True) == others
    used = held.as_dict(environment.stored_bytes(user))
    assert used["trainings_today"] == 2  # deleting is no way to more trainings
    assert (used["projects"], used["jobs"]) == (1, 1)


def test_the_account_is_the_callers_own(call: Any, user: str) -> None:
    create(call, user, "a")
    status, answer = call("GET", "/v1/account", user=user)
    assert (status, answer["user"], answer["quotas"]["projects"]) == (200, user, 3)
    assert answer["used"] == {"projects": 1, "stored_bytes": 0, "trainings_today": 0, "jobs": 0}
    assert call("GET", "/v1/account", user="q-other")[1]["used"]["projects"] == 0
