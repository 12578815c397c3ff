"""One process at a time: a lock that the system lets go of when its holder dies."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contracts.errors import Conflict

_RETRY_SECONDS = 0.1


@contextmanager
def exclusive(path: Path, what: str, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock file `path`. Raises `Conflict` if another process holds it for too long."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _acquire(descriptor, path, what, time.monotonic() + wait_seconds)
        yield
    finally:
        os.close(descriptor)  # which unlocks; the file stays, removing it would race


def _acquire(descriptor: int, path: Path, what: str, deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise Conflict(
                    f"{what} is already running: another process holds {path}",
                    fix="wait until it has finished, or end it, then try again",
                ) from None
        time.sleep(_RETRY_SECONDS)
