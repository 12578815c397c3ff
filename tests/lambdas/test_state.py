"""The table's promises under repetition and concurrency."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from contracts.identity import Project
from contracts.manifest import Kind
from contracts.status import Job, JobState
from lambdas import environment
from lambdas.state import ProjectRecord


def record(name: str) -> ProjectRecord:
    return ProjectRecord(Project("ann", name), Kind.IMAGE, ("a", "b"))


def test_only_one_of_many_creators_is_first() -> None:
    with ThreadPoolExecutor(20) as pool:
        made = list(
            pool.map(lambda _: environment.state().create_project(record("race")), range(20))
        )
    assert sum(is_new for _, is_new in made) == 1


def test_a_final_job_cannot_come_back_to_life() -> None:
    state, project = environment.state(), Project("ann", "final")
    assert state.create_job(Job(project, "j1", "u1"))
    assert state.update_job(project, "j1", state=JobState.CANCELLED)
    assert not state.update_job(project, "j1", state=JobState.RUNNING, progress=0.5)
    assert state.job(project, "j1").state is JobState.CANCELLED


def test_jobs_of_two_users_with_the_same_project_name_stay_apart() -> None:
    state = environment.state()
    ann, bob = Project("ann", "same"), Project("bob", "same")
    for project in (ann, bob):
        state.create_job(Job(project, "same-id", "u1", message=project.user))
    state.update_job(ann, "same-id", progress=0.5)
    assert state.job(bob, "same-id").progress == 0
    assert [job.message for job in state.jobs(bob)] == ["bob"]


def test_nested_numbers_survive() -> None:
    state, project = environment.state(), Project("ann", "numbers")
    job = Job(project, "j", "u", metrics={"accuracy": 0.9123, "epochs": [{"loss": 1e-7}]})
    state.create_job(job)
    assert state.job(project, "j").metrics == job.metrics
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
    state, project = environment.state(), Project("ann", "entries")
    state.create_job(Job(project, "j", "u"))
    state.update_job(project, "j", **{"metrics.accuracy": 0.9, "endpoint": "http://e"})
    state.update_job(project, "j", **{"metrics.epochs": [{"epoch": 1}]})
    job = state.job(project, "j")
    assert job.metrics == {"accuracy": 0.9, "epochs": [{"epoch": 1}]}
    assert job.endpoint == "http://e"
