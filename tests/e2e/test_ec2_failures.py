"""What goes wrong while machines train: killed trainers and servers, calls off, refusals."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from contracts.status import JobState
from deployments.api_calls import ApiError
from deployments.client import Exemplar
from deployments.local import embedded
from deployments.remote_job import RemoteJob
from tests.e2e.machines import (
    Machines,
    epochs_of,
    labels,
    messages,
    until,
    wait_for_epoch,
)

# The worker's own tests have most of these, too, in seconds and without the chain around them.
pytestmark = [
    pytest.mark.stack,
    pytest.mark.soak,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
NO_CAPACITY = "InsufficientInstanceCapacity"
OUTAGE_SECONDS = 30


@pytest.mark.parametrize("code", ["InvalidAMIID.NotFound", "UnauthorizedOperation"])
def test_what_ec2_refuses_for_good_is_said_with_a_way_out_and_the_draft_serves(
    stack: Any, machines: Machines, digits: Any, tmp_path: Path, code: str
) -> None:
    project = code.partition(".")[0].lower()
    folder = digits(tmp_path, 12)
    with stack.client() as client, machines.refused((code, "", "")):
        result = client.train(folder, project, recipe="fast")
        answer = client.predict(project, next(folder.glob("digit 0/*.png")))
    show(result)
    assert result.state == "failed"
    assert result.failure["code"] == "training_failed"
    assert code in result.failure["message"]
    assert "correct the work pool's settings" in result.failure["fix"]
    assert "the draft keeps serving" in result.failure["fix"]
    assert answer["model_version"] == result.model_version
    assert machines.training(result.job_id) == []
    machines.until_all_ended("me", project, result.job_id)


@pytest.mark.parametrize(
    ("refusals", "had"),
    [
        ([("g4dn.xlarge", "")], ("g5.xlarge", "spot")),
        ([("", "spot"), ("g5.xlarge", "")], ("g4dn.xlarge", None)),  # as if it were the only type
    ],
    ids=["other-type", "other-market"],
)
def test_where_one_type_or_market_has_no_machine_another_one_trains(
    stack: Any,
    machines: Machines,
    digits: Any,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    refusals: list[tuple[str, str]],
    had: tuple[str, str | None],
) -> None:
    project = "scarce-" + request.node.callspec.id
    with (
        stack.client() as client,
        machines.refused(*((NO_CAPACITY, *refusal) for refusal in refusals)),
    ):
        result = client.train(digits(tmp_path, 12), project, recipe="fast")
    show(result)
    assert result.state == "done"
    (machine,) = machines.training(result.job_id)
    assert (machine["InstanceType"], machine.get("InstanceLifecycle")) == had
    assert result.dollars is not None
    assert result.dollars > 0
    machines.until_none_lives()


def test_killed_trainers_are_followed_by_machines_that_go_on(
    stack: Any, machines: Machines, digits: Any, tmp_path: Path
) -> None:
    """Once the process that trains, once all that watches over it, too."""
    with stack.client() as client:
        job = client.submit(client.read(digits(tmp_path, 40)), "shot", recipe="balanced")
        first = wait_for_epoch(client, "shot", job.job_id, 1)
        trainer(machines, job.job_id).kill()
        second = wait_for_epoch(client, "shot", job.job_id, first + 1)
        for process in pythons(machines, living(machines, job.job_id)):
            process.kill()
        ended = client.wait("shot", job.job_id)
        said = messages(client, "shot", job.job_id)
    show(ended)
    used = machines.training(job.job_id)
    for machine in used:
        print(machine["InstanceId"], labels(machine)["exemplar:attempt"], machine["LaunchTime"])
    print(*[line for line in said if "lost" in line or "checkpoint" in line], sep="\n")
    assert ended.state == "done"
    epochs = epochs_of(ended)
    assert epochs == sorted(set(epochs))
    assert epochs[-1] >= second
    assert len({labels(machine)["exemplar:flow-run"] for machine in used}) == len(used) == 3
    assert sum("going on from the last checkpoint" in line for line in said) == 2
    assert sum("lost its machine" in line for line in said) == 2
    machines.until_none_lives()
    machines.until_all_ended("me", "shot", job.job_id)


def test_a_prefect_server_that_is_away_for_half_a_minute_costs_no_job(
    stack: Any, machines: Machines, digits: Any, tmp_path: Path
) -> None:
    with stack.client() as client:
        job = client.submit(client.read(digits(tmp_path, 40)), "headless", recipe="balanced")
        before = wait_for_epoch(client, "headless", job.job_id, 1)
        kill_prefect(stack)
        time.sleep(OUTAGE_SECONDS)
        assert embedded.up(stack.home, lambda _: None) == stack.links
        ended = client.wait("headless", job.job_id)
    show(ended)
    print(f"epoch {before} when the server went; machines: {len(machines.training(job.job_id))}")
    assert ended.state == "done"
    epochs = epochs_of(ended)
    assert epochs == sorted(set(epochs))
    machines.until_none_lives()
    machines.until_all_ended("me", "headless", job.job_id)
    assert all(service.is_running for service in embedded.status(stack.home))


def test_a_job_called_off_before_its_machine_has_booted_leaves_none(
    stack: Any, machines: Machines, digits: Any, tmp_path: Path
) -> None:
    """EC2 takes a minute to boot a machine; here it would take for ever."""
    with stack.client() as client, boots_held(machines):
        job = client.submit(client.read(digits(tmp_path, 12)), "too-early", recipe="fast")
        until(lambda: machines.training(job.job_id), why_not=machines.tail)
        ended = client.cancel("too-early", job.job_id)
        machines.until_none_lives()
        machines.until_all_ended("me", "too-early", job.job_id)
        again = client.job("too-early", job.job_id)
    assert ended.state == again.state == "cancelled"


def test_a_job_can_be_called_off_at_every_stage_and_what_was_live_stays(
    stack: Any, machines: Machines, digits: Any, tmp_path: Path
) -> None:
    folder = digits(tmp_path / "first", 12)
    picture = next(folder.glob("digit 0/*.png"))
    with stack.client() as client:
        live = client.train(folder, "fickle", recipe="fast").model_version
        print(f"champion {live}")
        for number, (name, is_there) in enumerate(moments(client, machines).items()):
            # Other pictures each time: nothing of an earlier job can be used again.
            more = digits(tmp_path / f"round {number}", 13 + number)
            began = time.monotonic()
            job = client.submit(client.read(more), "fickle", recipe="fast")
            seen = until(lambda j=job, i=is_there: reached(client, j.job_id, i))
            state = call_off(client, "fickle", job.job_id)
            machines.until_none_lives()
            machines.until_all_ended("me", "fickle", job.job_id)
            ended = client.job("fickle", job.job_id)
            live_now = client.details("fickle")["model_version"]
            used = machines.training(job.job_id)
            print(
                f"{name:<28} at {seen.stage:<13} -> {ended.state:<9} "
                f"{time.monotonic() - began:5.0f} s, {len(used)} machines, serves {live_now}"
            )
            assert ended.state == state, ended
            assert state == "cancelled" or seen.stage == "promote", ended
            # A job that is called off after one of its models was released has changed what
            # serves, and says so; an earlier one has not.
            assert live_now in {live, ended.model_version}
            live = live_now
            assert client.predict("fickle", picture)["model_version"] == live


def moments(client: Exemplar, machines: Machines) -> dict[str, Callable[[RemoteJob], bool]]:
    """When to call a job off."""

    def trains(job: RemoteJob) -> bool:
        return bool(machines.trainings("me", "fickle", job.job_id))

    def boots(job: RemoteJob) -> bool:
        used = machines.training(job.job_id)
        return bool(used) and bool(machines.processes(used[0]["InstanceId"]))

    def mid_epoch(job: RemoteJob) -> bool:
        return job.stage == "train" and bool(job.metrics.get("epochs"))

    return {
        "queued": lambda job: job.stage == "queued",
        "ingest": lambda job: job.stage == "ingest",
        "prepare": lambda job: job.stage == "prepare",
        "draft": lambda job: job.stage == "draft",
        "promoting the draft": lambda job: job.stage == "promote-draft",
        "training asked for": trains,
        "machine boots": boots,
        "training, mid-epoch": mid_epoch,
        "promote": lambda job: job.stage == "promote",
    }


def reached(
    client: Exemplar, job_id: str, is_there: Callable[[RemoteJob], bool]
) -> RemoteJob | None:
    job = client.job("fickle", job_id)
    assert not job.state.is_final, f"it ended before it was there: {job}"
    return job if is_there(job) else None


def call_off(client: Exemplar, project: str, job_id: str) -> JobState:
    """The state the job ends in: a finished one cannot be called off, and says so."""
    try:
        return client.cancel(project, job_id).state
    except ApiError as error:
        if error.code != "conflict":
            raise
        return client.job(project, job_id).state


@contextmanager
def boots_held(machines: Machines) -> Iterator[None]:
    machines.ec2.boots = False
    try:
        yield
    finally:
        machines.ec2.boots = True


def living(machines: Machines, job_id: str) -> str:
    """The one machine that works for a job."""
    alive = set(machines.ec2.living())
    (found,) = [
        machine["InstanceId"]
        for machine in machines.training(job_id)
        if machine["InstanceId"] in alive
    ]
    return str(found)


def trainer(machines: Machines, job_id: str) -> psutil.Process:
    """Of a machine's processes the one that trains holds by far the most memory."""
    processes = pythons(machines, living(machines, job_id))
    print(*[" ".join(process.cmdline())[:120] for process in processes], sep="\n")
    return max(processes, key=lambda process: process.memory_info().rss)


def pythons(machines: Machines, instance_id: str) -> list[psutil.Process]:
    """Everything but the machine's own start script."""
    found = machines.processes(instance_id)
    return [process for process in found if process.name().startswith("python")]


def kill_prefect(stack: Any) -> None:
    server = next(s for s in embedded.status(stack.home) if s.name == "prefect")
    process = psutil.Process(server.pid)
    for one in [process, *process.children(recursive=True)]:
        os.kill(one.pid, signal.SIGKILL)


def show(job: Any) -> None:
    """For the record; `-s` or a failure prints it."""
    print(f"{job.project}: {job.state}, {job.stage_seconds}, ${job.dollars}, {job.failure}")
