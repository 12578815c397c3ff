"""How often one caller may ask in a minute, counted by all containers together.

A container counts by itself and tells the table only when its own count has grown by a twentieth of
the limit, so an endpoint that is asked less than that writes nothing. What the others have counted
it learns by the same write. Therefore a minute may see up to `limit + containers * limit / 20`
requests, and never fewer than the limit. While the table does not answer, each container goes on
alone.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from contracts.errors import RateLimited

STEPS: Final = 20  # writes that a container makes until the limit is reached
_MINUTE = 60


@dataclass(slots=True)
class _Count:
    """Of one caller in this minute."""

    told: int = 0  # by all containers, as of the last write
    untold: int = 0  # by this one, since


class RateLimit:
    """One per container. `add(caller, minute, requests)` counts up and returns the sum."""

    def __init__(
        self, add: Callable[[str, int, int], int], clock: Callable[[], float] = time.time
    ) -> None:
        self._add, self._clock = add, clock
        self._minute = 0
        self._is_alone = False
        self._counts: dict[str, _Count] = {}
        self._lock = threading.Lock()

    def check(self, caller: str, limit: int) -> None:
        """Count a request. Raises `RateLimited` for one beyond the limit, which does not count."""
        now = self._clock()
        with self._lock:
            self._begin(int(now // _MINUTE))
            count = self._counts.setdefault(caller, _Count())
            if count.told + count.untold >= limit:
                raise _limited(limit, math.ceil(_MINUTE - now % _MINUTE))
            count.untold += 1
            if count.untold >= math.ceil(limit / STEPS) and not self._is_alone:
                self._tell(caller, count)

    def _begin(self, minute: int) -> None:
        if minute != self._minute:
            self._minute, self._is_alone = minute, False
            self._counts.clear()

    def _tell(self, caller: str, count: _Count) -> None:
        try:
            count.told = self._add(caller, self._minute, count.untold)
        except Exception:  # noqa: BLE001 - whatever is wrong with the table, callers get answers
            self._is_alone = True  # until the next minute: trying takes seconds
        else:
            count.untold = 0


def _limited(limit: int, seconds: int) -> RateLimited:
    return RateLimited(
        f"more than {limit} requests in a minute with this key",
        fix=f"wait {seconds} seconds; the project's owner can raise requests_per_minute",
        retry_after_seconds=seconds,
    )
