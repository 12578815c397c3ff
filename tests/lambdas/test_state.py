"""The table's promises under repetition and concurrency."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from contracts.identity import Project
from contracts.manifest import Kind
from contracts.status import Job, JobState
from lambdas import environment
from lambdas.state import ProjectRecord


def record(name: str) -> ProjectRecord:
    return ProjectRecord(Project("ann", name), Kind.IMAGE, ("a", "b"))


def made(name: str, user: str = "ann") -> Project:
    project = Project(user, name)
    environment.state().create_project(ProjectRecord(project, Kind.IMAGE, ("a", "b")))
    return project


def test_only_one_of_many_creators_is_first() -> None:
    with ThreadPoolExecutor(20) as pool:
        made = list(
            pool.map(lambda _: environment.state().create_project(record("race")), range(20))
        )
    assert sum(is_new for _, is_new in made) == 1


def test_a_final_job_cannot_come_back_to_life() -> None:
    state, project = environment.state(), made("final")
    assert state.create_job(Job(project, "j1", "u1"))
    assert state.update_job(project, "j1", state=JobState.CANCELLED)
    assert not state.update_job(project, "j1", state=JobState.RUNNING, progress=0.5)
    assert state.job(project, "j1").state is JobState.CANCELLED


def test_jobs_of_two_users_with_the_same_project_name_stay_apart() -> None:
    state = environment.state()
    ann, bob = made("twins"), made("twins", "bob")
    for project in (ann, bob):
        state.create_job(Job(project, "same-id", "u1", message=project.user))
    state.update_job(ann, "same-id", progress=0.5)
    assert state.job(bob, "same-id").progress == 0
    assert [job.message for job in state.jobs(bob)] == ["bob"]


def test_nested_numbers_survive() -> None:
    state, project = environment.state(), made("numbers-of-a-job")
    job = Job(project, "j", "u", metrics={"accuracy": 0.9123, "epochs": [{"loss": 1e-7}]})
    state.create_job(job)
    assert state.job(project, "j").metrics == job.metrics
    project = Project("ann", "numbers")
    state.create_project(replace(record("numbers"), metrics={"interval": [0.1, 1.0]}))
    assert state.project(project).metrics["interval"] == [0.1, 1]


def test_tokens_expire_and_keys_rotate() -> None:
    state = environment.state()
    state.put_token("good", "ann", time.time() + 60)
    state.put_token("old", "ann", time.time() - 1)
    assert state.user_of_token("good") == "ann"
    assert state.user_of_token("old") is None
    assert state.user_of_token("unknown") is None


def test_two_processes_may_set_entries_of_one_map() -> None:
    state, project = environment.state(), made("entries")
    state.create_job(Job(project, "j", "u"))
    state.update_job(project, "j", **{"metrics.accuracy": 0.9, "endpoint": "http://e"})
    state.update_job(project, "j", **{"metrics.epochs": [{"epoch": 1}]})
    job = state.job(project, "j")
    assert job.metrics == {"accuracy": 0.9, "epochs": [{"epoch": 1}]}
    assert job.endpoint == "http://e"


def test_runs_that_are_created_at_once_see_those_before_them() -> None:
    state, together = environment.state(), Barrier(8)

    def start(number: int) -> int:
        with state.starting("eight-at-once", "pipeline", f"job{number}") as others:
            together.wait(30)  # nobody is done before everybody has begun
            return len(others)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(start, range(8))) == list(range(8))
    with state.starting("eight-at-once", "pipeline", "later") as others:
        assert others == set()


def test_a_run_whose_creator_has_died_does_not_count_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = environment.state()
    never_left = state.starting("died", "pipeline", "lost")
    never_left.__enter__()
    with state.starting("died", "pipeline", "next") as others:
        assert others == {"lost"}
    monkeypatch.setattr("lambdas.state._LOST_SECONDS", -10.0)
    with state.starting("died", "pipeline", "last") as others:
        assert others == set()


def test_a_run_that_could_not_be_created_keeps_its_place_when_tried_again() -> None:
    state = environment.state()

    def start(run: str, *, fails: bool = False) -> set[str]:
        with state.starting("tries-again", "pipeline", run) as others:
            if fails:
                raise TimeoutError
        return others

    with pytest.raises(TimeoutError):
        start("first", fails=True)
    with state.starting("tries-again", "pipeline", "second") as others:
        assert others == {"first"}
        assert start("first") == set()
    assert start("third") == set()
