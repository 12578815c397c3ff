"""Background processes, with real ones: a web server, sleepers, and things that go wrong."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from contracts.errors import Conflict, InvalidName, Unavailable
from deployments.local.environment import child_environment
from deployments.local.supervision import Service, Supervisor, last_lines

SLEEPER = "import time; time.sleep(600)"
PARENT = f"""
import subprocess, sys, time
print(subprocess.Popen([sys.executable, "-c", {SLEEPER!r}]).pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    made = Supervisor(tmp_path / "run")
    yield made
    for name in made.recorded_names():
        made.stop(name, grace_seconds=0.1)


@pytest.fixture
def service(tmp_path: Path) -> Callable[..., Service]:
    def make(program: str, name: str = "thing", **settings: object) -> Service:
        env = child_environment(tmp_path, {})
        argv = [sys.executable, "-c", program]
        return Service(name, argv, env, tmp_path / f"{name}.log", **settings)  # type: ignore[arg-type]

    return make


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def web_server(tmp_path: Path, port: int) -> Service:
    argv = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    url = f"http://127.0.0.1:{port}/"
    return Service("web", argv, child_environment(tmp_path, {}), tmp_path / "web.log", url)


def eventually(check: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.02)


def test_start_waits_until_ready_and_stop_ends_it(tmp_path: Path, supervisor: Supervisor) -> None:
    web = web_server(tmp_path, free_port())
    assert supervisor.status(web).is_running is False
    pid = supervisor.start(web)
    status = supervisor.status(web)
    assert (status.pid, status.is_healthy) == (pid, True)
    assert supervisor.start(web) == pid, "a running service is left alone"
    assert supervisor.stop("web") is True
    assert not psutil.pid_exists(pid)
    assert supervisor.stop("web") is False
    assert supervisor.recorded_names() == []


def test_another_supervisor_of_the_folder_finds_it(
    tmp_path: Path, supervisor: Supervisor, service: Callable[..., Service]
) -> None:
    pid = supervisor.start(service(SLEEPER))
    other = Supervisor(tmp_path / "run")
    assert other.is_running("thing")
    other.stop("thing", grace_seconds=1)
    assert not psutil.pid_exists(pid)


def test_a_service_that_ends_at_once_is_reported_with_its_log(
    supervisor: Supervisor, service: Callable[..., Service]
) -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    broken = service("raise SystemExit('the database is locked')", health_url=url)
    with pytest.raises(Unavailable, match="thing ended while it was starting") as raised:
        supervisor.start(broken)
    assert "the database is locked" in raised.value.message
    assert str(broken.log) in raised.value.fix
    assert not supervisor.is_running("thing")


def test_a_service_that_never_gets_ready_is_stopped(
    supervisor: Supervisor, service: Callable[..., Service]
) -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    slow = service(f"print('loading', flush=True); {SLEEPER}", health_url=url, start_seconds=1.0)
    with pytest.raises(Unavailable, match="was not ready after 1 seconds") as raised:
        supervisor.start(slow)
    assert raised.value.message.endswith("loading")
    assert not supervisor.is_running("thing")


def test_stop_kills_what_ignores_sigterm_and_its_children(
    supervisor: Supervisor, service: Callable[..., Service]
) -> None:
    stubborn = service("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + PARENT)
    pid = supervisor.start(stubborn)
    eventually(lambda: last_lines(stubborn.log))
    child = int(last_lines(stubborn.log))
    supervisor.stop("thing", grace_seconds=0.2)
    assert not psutil.pid_exists(pid)
    assert not psutil.pid_exists(child)


def test_children_of_a_service_that_died_are_found(
    supervisor: Supervisor, service: Callable[..., Service]
) -> None:
    parent = service(PARENT)
    pid = supervisor.start(parent)
    eventually(lambda: last_lines(parent.log))
    child = int(last_lines(parent.log))
    psutil.Process(pid).kill()
    eventually(lambda: not supervisor.is_running("thing"))
    assert psutil.pid_exists(child)
    supervisor.stop("thing")
    assert not psutil.pid_exists(child)


def test_a_start_that_was_killed_before_it_wrote_its_record_leaves_no_second_process(
    tmp_path: Path, supervisor: Supervisor, service: Callable[..., Service]
) -> None:
    first = supervisor.start(service(SLEEPER))
    (tmp_path / "run" / "thing.process").unlink()
    second = supervisor.start(service(SLEEPER))
    assert second != first
    assert not psutil.pid_exists(first)


def test_a_stranger_with_the_recorded_id_is_never_touched(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEPER]) as stranger:
        record = tmp_path / "run" / "thing.process"
        record.parent.mkdir()
        record.write_text(json.dumps({"pid": stranger.pid, "created": 1_000_000_000.0}))
        assert not supervisor.is_running("thing")
        supervisor.stop("thing")
        assert stranger.poll() is None
        stranger.kill()


def test_a_broken_record_counts_as_not_running(tmp_path: Path, supervisor: Supervisor) -> None:
    record = tmp_path / "run" / "thing.process"
    record.parent.mkdir()
    record.write_text('{"pid": ')
    assert not supervisor.is_running("thing")


def test_sigint_works_though_the_caller_ignores_it(
    supervisor: Supervisor, service: Callable[..., Service]
) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pid = supervisor.start(service(SLEEPER))
    finally:
        signal.signal(signal.SIGINT, before)
    psutil.Process(pid).send_signal(signal.SIGINT)
    eventually(lambda: not supervisor.is_running("thing"))


def test_services_lead_their_own_session(
    supervisor: Supervisor, service: Callable[..., Service]
) -> None:
    pid = supervisor.start(service(SLEEPER))
    assert os.getsid(pid) == pid


def test_two_at_once_do_not_race(tmp_path: Path, supervisor: Supervisor) -> None:
    other = Supervisor(tmp_path / "run")
    with supervisor.lock(), pytest.raises(Conflict, match="already running"), other.lock():
        pass
    with other.lock():
        pass


def test_the_lock_goes_with_its_holder(tmp_path: Path, supervisor: Supervisor) -> None:
    program = (
        "import sys, time; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from deployments.local.supervision import Supervisor\n"
        "with Supervisor(Path(sys.argv[1])).lock(): print('held', flush=True); time.sleep(600)"
    )
    root = Path(__file__).parents[2]
    argv = [sys.executable, "-c", program, str(tmp_path / "run"), str(root)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Conflict), supervisor.lock():
            pass
        holder.kill()
    with supervisor.lock(wait_seconds=5):
        pass


def test_names_are_no_paths(supervisor: Supervisor) -> None:
    with pytest.raises(InvalidName):
        supervisor.stop("../other")
