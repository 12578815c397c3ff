"""Five users send four trainings each, all at once, to a pool of three machines."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import FlowRun, StateType

from contracts.machine_use import MachineUse, from_labels
from contracts.turns import queue_of
from deployments.remote_job import RemoteJob
from deployments.work_pools import ORCHESTRATION
from tests.e2e.machines import POOL, Machines, labels, until

pytestmark = [
    pytest.mark.stack,
    pytest.mark.soak,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
USERS = ("ann", "bob", "cat", "dan", "eve")
PROJECTS = ("cats", "dogs", "eggs", "figs")  # everybody's are called the same
MACHINES_AT_ONCE = 3
# The worker looks every two seconds, and Prefect dates what it sees.
SLACK_SECONDS = 3.0
SAME_POLL_SECONDS = 1.0  # runs that one look at the queues takes together overtake nobody


@dataclass
class Sent:
    """One job, what it may answer, and what became of it."""

    user: str
    project: str
    folder: Path
    classes: set[str]
    job: RemoteJob
    pipeline: FlowRun | None = None
    runs: list[FlowRun] = field(default_factory=list)  # its trainings
    uses: list[tuple[MachineUse, int]] = field(default_factory=list)  # with the attempt


@dataclass(frozen=True)
class Turn:
    """When something waited in a queue, and when a worker took it out; seconds since the epoch."""

    user: str
    name: str
    queue: str
    queued_at: float
    taken_at: float

    @property
    def is_first(self) -> bool:
        """Whether none of its user's was asked for before it and unfinished."""
        return self.queue == queue_of(0)


def test_twenty_jobs_at_once_get_machines_of_their_own_in_turn(
    stack: Any, machines: Machines, digits: Any, tmp_path: Path
) -> None:
    with machines.at_once(MACHINES_AT_ONCE):
        sent = send(stack, digits, tmp_path)
        with ThreadPoolExecutor(len(sent)) as pool:
            for one, job in zip(sent, pool.map(lambda one: wait(stack, one), sent), strict=True):
                one.job = job
    machines.until_none_lives()
    for one in sent:
        collect(machines, one)
    print_table(sent)
    assert [one.job.state for one in sent] == ["done"] * len(sent)
    for one in sent:
        check_machines(machines, one)
        check_endpoint(stack, one)
        machines.until_all_ended(one.user, one.project, one.job.job_id)
    endpoints = {one.job.endpoint for one in sent}
    assert len(endpoints) == len(sent)
    everybodys = {use.instance_id for one in sent for use, _ in one.uses}
    assert everybodys == {instance["InstanceId"] for instance in machines.ec2.instances()}
    assert most_at_once([run for one in sent for run in one.runs]) <= MACHINES_AT_ONCE
    pipelines = [turn(machines, one, one.pipeline) for one in sent if one.pipeline]
    assert len(pipelines) == len(sent)
    for user in USERS:  # whose jobs all came before any had ended
        assert sum(one.is_first for one in pipelines if one.user == user) <= 1
    assert overtaken(pipelines) == []
    assert overtaken([turn(machines, one, one.runs[0]) for one in sent]) == []


def send(stack: Any, digits: Any, folder: Path) -> list[Sent]:
    """Upload everything first, then start all jobs within the same moment."""
    everything = list(product(USERS, PROJECTS))
    # No two jobs learn the same two digits.
    pairs = list(combinations(range(10), 2))[: len(everything)]

    def upload(user: str, project: str, pair: tuple[int, int]) -> tuple[Path, str]:
        pictures = digits(folder / user / project, 12, pair)
        with stack.client(user) as client:
            found = client.read(pictures)
            client.create(project, found.classes)
            return pictures, client.upload(project, found)

    def start(user: str, project: str, upload: str) -> RemoteJob:
        with stack.client(user) as client:
            job: RemoteJob = client.start(project, upload, recipe="fast")
            return job

    uploads = [
        upload(user, project, pair) for (user, project), pair in zip(everything, pairs, strict=True)
    ]
    with ThreadPoolExecutor(len(everything)) as pool:
        jobs = pool.map(
            lambda args: start(*args),
            [
                (user, project, name)
                for (user, project), (_, name) in zip(everything, uploads, strict=True)
            ],
        )
        return [
            Sent(user, project, pictures, {f"digit {digit}" for digit in pair}, job)
            for (user, project), (pictures, _), pair, job in zip(
                everything, uploads, pairs, jobs, strict=True
            )
        ]


def wait(stack: Any, one: Sent) -> RemoteJob:
    with stack.client(one.user) as client:
        job: RemoteJob = client.wait(one.project, one.job.job_id, poll_seconds=2)
        return job


def collect(machines: Machines, one: Sent) -> None:
    """What Prefect knows of the job's machines, once their ends have been noted."""

    def noted() -> list[FlowRun] | None:
        runs = machines.runs(one.user, one.project, one.job.job_id)
        uses = [use for run in runs for use in from_labels(run.labels)]
        return runs if all(use.ended_at for use in uses) else None

    runs = until(noted, why_not=machines.tail)
    (one.pipeline,) = [run for run in runs if run.work_pool_name == ORCHESTRATION]
    one.runs = [run for run in runs if run.work_pool_name == POOL]
    one.uses = [
        (use, attempt) for attempt, run in enumerate(one.runs) for use in from_labels(run.labels)
    ]


def check_machines(machines: Machines, one: Sent) -> None:
    """EC2's tags and Prefect's labels name the same machines, and nobody else's."""
    tagged = machines.training(one.job.job_id)
    assert {i["InstanceId"] for i in tagged} == {use.instance_id for use, _ in one.uses}
    assert tagged
    for instance in tagged:
        found = labels(instance)
        assert found["exemplar:user"] == one.user
        assert found["exemplar:project"] == one.project
        assert found["exemplar:flow-run"] in {str(run.id) for run in one.runs}
    assert all(use.ended_at for use, _ in one.uses)
    assert one.job.dollars is not None
    assert 0 < one.job.dollars < 1


def check_endpoint(stack: Any, one: Sent) -> None:
    with stack.client(one.user) as client:
        for picture in sorted(one.folder.glob("*/3.png")):
            answer = client.predict(one.project, picture)
            assert set(answer["probabilities"]) == one.classes
            assert answer["model_version"] == one.job.model_version


def most_at_once(runs: list[FlowRun]) -> int:
    """How many ran at the same time. A machine lives a little longer than its run."""
    times = [(run.start_time, run.end_time) for run in runs if run.start_time and run.end_time]
    assert len(times) == len(runs)
    return max(sum(start <= moment < end for start, end in times) for moment, _ in times)


def turn(machines: Machines, one: Sent, run: FlowRun) -> Turn:
    states = machines.prefect.read_flow_run_states(run.id)
    taken = min(state.timestamp for state in states if state.type is StateType.PENDING)
    assert run.created
    assert run.work_queue_name
    return Turn(
        one.user, one.project, run.work_queue_name, run.created.timestamp(), taken.timestamp()
    )


def overtaken(turns: list[Turn]) -> list[str]:
    """Whose first run still waited in the queue when another's later one was taken out."""
    return [
        f"{later} was taken before {first}"
        for later in turns
        for first in turns
        if first.is_first
        and not later.is_first
        and first.user != later.user
        and first.queued_at + SLACK_SECONDS < later.taken_at < first.taken_at - SAME_POLL_SECONDS
    ]


def print_table(sent: list[Sent]) -> None:
    print()
    row = "{:<5} {:<5} {:<16} {:<9} {:<20} {:<8} {:<8} {:<8} {:>2}".format
    print(row("user", "proj", "job", "state", "instance", "queued", "start", "end", "a"))
    lines = [(use.started_at, one, use, attempt) for one in sent for use, attempt in one.uses]
    for _, one, use, attempt in sorted(lines, key=lambda line: line[0]):
        print(
            row(
                one.user,
                one.project,
                one.job.job_id,
                one.job.state,
                use.instance_id,
                clock(one.runs[0].created.timestamp() if one.runs[0].created else None),
                clock(use.started_at),
                clock(use.ended_at),
                attempt,
            )
        )
    for one in sent:
        if not one.uses:
            print(one.user, one.project, one.job.job_id, one.job.state, one.job.failure)


def clock(seconds: float | None) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S") if seconds else "–"
