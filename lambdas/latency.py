"""Durations as counts in buckets that widen with them, so that they can be added up.

Source: C. Masson, J. E. Rim, H. K. Lee, "DDSketch" (2019): every quantile is right to 5 %.
"""

import math
from collections.abc import Mapping
from typing import Final

_ERROR: Final = 0.05
_GROWTH: Final = (1 + _ERROR) / (1 - _ERROR)
_SHORTEST_MS: Final = 0.01


def bucket_of(ms: float) -> int:
    """The bucket that a duration counts in."""
    return math.ceil(math.log(max(ms, _SHORTEST_MS), _GROWTH))


def quantile(buckets: Mapping[int, int], share: float) -> float | None:
    """Milliseconds within which `share` (0..1) of all ended; None where there are none."""
    left = share * (sum(buckets.values()) - 1)
    for bucket in sorted(buckets):
        left -= buckets[bucket]
        if left < 0:
            return 2 * _GROWTH**bucket / (_GROWTH + 1)
    return None
