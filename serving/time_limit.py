"""How long a request may take: a caller who waits in vain is told nothing, one who is told can act.

A function that runs into its own timeout ends without an answer, and so does what it had loaded.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from contracts.errors import LimitExceeded

# Of the time left, since what has begun is not broken off: a batch of rows may take seconds.
SHARE: Final = 0.6
_ends: ContextVar[tuple[float, float] | None] = ContextVar("time_limit", default=None)


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Within this, `check_time` raises once `seconds` have passed; None is no limit."""
    token = _ends.set(None if seconds is None else (time.monotonic() + seconds, seconds))
    try:
        yield
    finally:
        _ends.reset(token)


def check_time() -> None:
    """Raise `LimitExceeded` when the time is over."""
    found = _ends.get()
    if found and time.monotonic() > found[0]:
        raise LimitExceeded(
            f"the answer would take longer than {found[1]:.0f} s",
            fix="send fewer or shorter texts in one request, or ask without an explanation",
        )
