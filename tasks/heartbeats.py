"""One heartbeat per process."""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings


@contextmanager
def parent_heartbeat_only() -> Iterator[None]:
    """Let the flow that runs already speak for the subflows started inside.

    Each would start a heartbeat thread of its own, and Prefect 3.8 waits up to a second for that
    thread at the end of every synchronous flow.
    """
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield
