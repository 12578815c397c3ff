"""Why a model took examples for what they are not, for as many as there is time for."""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from serving.explanation import Explanation
from serving.readers import Source

MOST_EXPLAINED: Final = 30
MOST_SECONDS: Final = 20.0

Explain = Callable[[Source, str], Explanation]  # an example and the class that is asked about


def explained(
    explain: Explain, asked: Sequence[tuple[Source, str]], most_seconds: float = MOST_SECONDS
) -> list[Explanation | None]:
    """Explain each, one on every core at a time; None for those that time ran out before."""
    ends_at = time.monotonic() + most_seconds

    def in_time(one: tuple[Source, str]) -> Explanation | None:
        return explain(*one) if time.monotonic() < ends_at else None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(in_time, asked))
