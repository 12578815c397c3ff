"""Background processes of the embedded stack: started, inspected and stopped by name."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from contracts.errors import Unavailable
from contracts.identity import identifier
from deployments.local.lock import exclusive

_MARKER = "EXEMPLAR_SERVICE"  # in the environment of a service's processes, down to its last child
_POLL_SECONDS = 0.1
_CLOCK_SECONDS = 2.0  # start times are told from the wall clock, which may be set
_SHOWN_LOG_LINES = 15
_KEPT_LOG_BYTES = 10 * 2**20


@dataclass(frozen=True, slots=True)
class Service:
    """What to run. `env` is the whole environment; see `environment.child_environment`.

    The service is ready once `health_url` answers 2xx; without one, once it has started.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    log: Path
    health_url: str | None = None
    start_seconds: float = 60.0
    stop_seconds: float = 10.0
    cwd: Path | None = None


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """`is_healthy` is None for a service without a health URL."""

    name: str
    pid: int | None
    started_at: float | None  # seconds since the epoch
    is_healthy: bool | None

    @property
    def is_running(self) -> bool:
        """Whether its process exists."""
        return self.pid is not None


class Supervisor:
    """Keeps one file per service in `folder`, with the process' id and start time.

    The start time tells the service's process from a stranger that was given its id later.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def lock(self, wait_seconds: float = 0.0) -> AbstractContextManager[None]:
        """Hold this while starting or stopping: two `up` at once must not race."""
        return exclusive(self._folder / "stack.lock", "`exemplar up` or `down`", wait_seconds)

    def start(self, service: Service) -> int:
        """Start the service and wait until it is ready; returns its process id.

        One that runs already is only waited for. Raises `Unavailable`, with the end of its log,
        if it ends or is not ready in time; it is stopped then.
        """
        process = self._recorded(service.name)
        if process is not None:
            try:
                _wait_until_ready(service, process)
            except Unavailable:  # it was killed a moment ago, or hangs: begin anew
                self.stop(service.name, service.stop_seconds)
            else:
                return process.pid
        self._end_strays(service.name)
        process = self._spawn(service)
        try:
            _wait_until_ready(service, process)
        except Unavailable:
            self.stop(service.name, service.stop_seconds)
            raise
        return process.pid

    def stop(self, name: str, grace_seconds: float = 10.0) -> bool:
        """SIGTERM, wait, then kill whatever is left of it; returns whether it was running."""
        process = self._recorded(name)
        if process is not None:
            children = _children(process)
            with suppress(psutil.NoSuchProcess):
                process.terminate()
            psutil.wait_procs([process], timeout=grace_seconds)
            _kill([process, *children])
        self._end_strays(name)
        self._record(name).unlink(missing_ok=True)
        return process is not None

    def status(self, service: Service) -> ServiceStatus:
        """Look, without changing anything."""
        process = self._recorded(service.name)
        healthy = None
        if service.health_url:
            healthy = process is not None and _is_healthy(service.health_url)
        if process is None:
            return ServiceStatus(service.name, None, None, healthy)
        return ServiceStatus(service.name, process.pid, process.create_time(), healthy)

    def is_running(self, name: str) -> bool:
        """Whether the service's own process exists."""
        return self._recorded(name) is not None

    def recorded_names(self) -> list[str]:
        """Every service that was started and not stopped, running or not."""
        return sorted(path.stem for path in self._folder.glob("*.process"))

    def _record(self, name: str) -> Path:
        return self._folder / f"{identifier(name, 'service')}.process"

    def _recorded(self, name: str) -> psutil.Process | None:
        try:
            record = json.loads(self._record(name).read_text())
            process = psutil.Process(record["pid"])
            is_same = abs(process.create_time() - record["created"]) < _CLOCK_SECONDS
        except (FileNotFoundError, ValueError, KeyError, psutil.NoSuchProcess):
            return None
        return process if is_same and _is_alive(process) else None

    def _spawn(self, service: Service) -> psutil.Process:
        record = self._record(service.name)
        record.parent.mkdir(parents=True, exist_ok=True)
        service.log.parent.mkdir(parents=True, exist_ok=True)
        _rotate(service.log)
        with service.log.open("ab") as log:
            child = subprocess.Popen(
                list(service.argv),
                cwd=service.cwd,
                env={**service.env, _MARKER: self._marker(service.name)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is not for it
                # A shell's `&` makes its commands ignore SIGINT and their children inherit that;
                # Prefect turns SIGTERM into SIGINT and would not stop.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        process = psutil.Process(child.pid)
        child.returncode = 0  # it outlives us: Popen must not complain that it still runs
        partial = record.with_suffix(".partial")
        partial.write_text(json.dumps({"pid": child.pid, "created": process.create_time()}))
        partial.replace(record)
        return process

    def _marker(self, name: str) -> str:
        return f"{self._folder}:{name}"

    def _end_strays(self, name: str) -> None:
        """Kill what an earlier start or stop that was itself killed has left of the service."""
        marker = self._marker(name)
        others = [process for process in psutil.process_iter() if process.pid != os.getpid()]
        _kill([process for process in others if _environment(process).get(_MARKER) == marker])


def last_lines(log: Path, count: int = _SHOWN_LOG_LINES) -> str:
    """The end of a log file; empty when there is none."""
    with suppress(FileNotFoundError), log.open("rb") as opened:
        size = opened.seek(0, os.SEEK_END)
        opened.seek(max(0, size - 16_384))
        return "\n".join(opened.read().decode(errors="replace").splitlines()[-count:])
    return ""


def _wait_until_ready(service: Service, process: psutil.Process) -> None:
    deadline = time.monotonic() + service.start_seconds
    while True:
        # Asked in this order: a stranger on the same port must not answer for a dead service.
        is_ready = service.health_url is None or _is_healthy(service.health_url)
        if not _is_alive(process):
            raise _failed(service, "ended while it was starting")
        if is_ready:
            return
        if time.monotonic() > deadline:
            raise _failed(service, f"was not ready after {service.start_seconds:g} seconds")
        time.sleep(_POLL_SECONDS)


def _failed(service: Service, what: str) -> Unavailable:
    return Unavailable(
        f"{service.name} {what}; the end of its log:\n{last_lines(service.log)}",
        fix=f"see {service.log}, then try again",
    )


def _is_healthy(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(url, timeout=2.0, trust_env=False).is_success
    return False


def _is_alive(process: psutil.Process) -> bool:
    """A zombie has ended, its parent has only not asked yet."""
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return list(process.children(recursive=True))
    return []


def _kill(processes: list[psutil.Process]) -> None:
    """Kill those that still exist; psutil never hits another that was given the same id."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=5)


def _environment(process: psutil.Process) -> dict[str, str]:
    with suppress(psutil.Error, OSError):
        return dict(process.environ())
    return {}


def _rotate(log: Path) -> None:
    """Keep one older log, so that a stack that runs for months does not fill the disk."""
    with suppress(FileNotFoundError):
        if log.stat().st_size > _KEPT_LOG_BYTES:
            log.replace(log.with_suffix(f"{log.suffix}.old"))
