"""Which port each service listens on: chosen once and kept, because addresses end up in links."""

import json
import socket
import time
from pathlib import Path

import psutil

from contracts.errors import Conflict

_DYING_SECONDS = 3.0
_CANDIDATES = 200  # looked at after the preferred port


class Ports:
    """The choices live in one JSON file. Guard changes with the supervisor's lock."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def kept(self, name: str) -> int | None:
        """The service's port, if one was chosen."""
        return self._read().get(name)

    def claim(self, name: str, preferred: int, *, is_running: bool = False) -> int:
        """The service's port: the kept one, else `preferred` or the next that is free.

        Raises `Conflict` if the kept port is taken while the service itself `is_running` not.
        """
        choices = self._read()
        if (port := choices.get(name)) is not None:
            if not is_running and not _comes_free(port):
                raise self._taken(name, port)
            return port
        choices[name] = self._choose(name, preferred, set(choices.values()))
        self._write(choices)
        return choices[name]

    def _choose(self, name: str, preferred: int, excluded: set[int]) -> int:
        for port in range(preferred, preferred + _CANDIDATES):
            if port not in excluded and is_free(port):
                return port
        raise Conflict(
            f"no port from {preferred} to {preferred + _CANDIDATES - 1} is free for {name}",
            fix="end a process that listens on one of them",
        )

    def _taken(self, name: str, port: int) -> Conflict:
        return Conflict(
            f"port {port}, which {name} has used so far, is taken by {owner(port)}",
            fix=f"end that process, or remove the entry {name!r} from {self._file} "
            "so that another port is chosen",
        )

    def _read(self) -> dict[str, int]:
        try:
            choices = json.loads(self._file.read_text())
            return {str(name): int(port) for name, port in choices.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError, TypeError) as error:
            raise Conflict(
                f"{self._file} is not readable: {error}",
                fix='it must look like {"emulator": 4566}; remove it to choose ports anew',
            ) from error

    def _write(self, choices: dict[str, int]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps(choices, indent=1, sort_keys=True) + "\n")
        partial.replace(self._file)


def is_free(port: int) -> bool:
    """Whether nothing listens on the port, on loopback or on all addresses."""
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            return False
    with socket.socket() as probe:
        # Connections that are only closing do not make a port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _comes_free(port: int) -> bool:
    """Whether it is free or soon will be: a process that was just killed holds it a moment more."""
    deadline = time.monotonic() + _DYING_SECONDS
    while not is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def owner(port: int) -> str:
    """Who listens there, for an error message."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:  # not ours to see
        pass
    return "another process"
