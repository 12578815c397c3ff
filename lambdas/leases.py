"""One at a time on a project: a lease in the table that ends by itself when its holder dies."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from contracts.errors import Conflict
from contracts.identity import Project
from lambdas.table import Key, Table

LEASE_SECONDS = 30.0  # how long others wait after a holder was killed


class Busy(Conflict):
    """Somebody else is changing the same part of the project."""

    code = "busy"


@dataclass(frozen=True, slots=True)
class Part:
    """What of a project one at a time may change."""

    sort_key: str
    said: str


SERVED: Final = Part("LEASE", "what {name!r} serves is being changed at the moment")
EXAMPLES: Final = Part("LEASE#EXAMPLES", "the examples of {name!r} are being changed at the moment")


@contextmanager
def exclusive(
    table: Table,
    project: Project,
    holder: str,
    wait_seconds: float = 0.0,
    lease_seconds: float = LEASE_SECONDS,
    part: Part = SERVED,
) -> Iterator[None]:
    """Let nobody else change what a project serves, or another part of it, meanwhile.

    The lease is renewed as long as the block runs. A holder of the same name, such as a flow run
    that is tried again after a crash, gets it at once. Raises `Busy` after `wait_seconds`.
    """
    key = _key(project, part)
    deadline = time.monotonic() + wait_seconds
    while not _take(table, key, holder, lease_seconds):
        if time.monotonic() >= deadline:
            raise Busy(part.said.format(name=project.name), fix="try again in a minute")
        time.sleep(min(0.25, lease_seconds))
    done = threading.Event()
    keeper = threading.Thread(
        target=_keep, args=(done, table, key, holder, lease_seconds), daemon=True
    )
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()
        table.end_lease(key, holder)


def _take(table: Table, key: Key, holder: str, seconds: float) -> bool:
    now = time.time()
    return table.take_lease(key, holder, now, now + seconds)


def _keep(done: threading.Event, table: Table, key: Key, holder: str, seconds: float) -> None:
    while not done.wait(seconds / 3):
        _take(table, key, holder, seconds)


def _key(project: Project, part: Part = SERVED) -> Key:
    return f"PROJECT#{project.slug}", part.sort_key
