"""The learning-rate range test: raise the rate with every step and watch the loss.

Source: Smith 2017, arXiv:1506.01186; the rate of the steepest fall is taken, as is usual since.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

TESTED_STEPS: Final = 60
_LOWEST, _HIGHEST = 1e-2, 1e2  # times the recipe's peak rates
_SMOOTHING: Final = 0.9  # of the running mean of losses
_IGNORED: Final = 5  # steps at either end, where a running mean says little
_LEAST_FALL: Final = 1e-3  # in one step, of the first loss; less is rounding
_DIVERGED: Final = 4.0  # times the least loss


def scales() -> list[float]:
    """What to multiply the peak rates with in each step, evenly on a logarithmic scale."""
    values: list[float] = np.geomspace(_LOWEST, _HIGHEST, TESTED_STEPS).tolist()
    return values


def best_scale(losses: Sequence[float]) -> float:
    """Return the scale at which the smoothed loss fell fastest; 1.0 where it never fell."""
    smoothed: list[float] = []
    running = 0.0
    for step, loss in enumerate(losses):
        running = _SMOOTHING * running + (1 - _SMOOTHING) * loss
        mean = running / (1 - _SMOOTHING ** (step + 1))
        if not math.isfinite(mean) or (smoothed and mean > _DIVERGED * min(smoothed)):
            break
        smoothed.append(mean)
    inner = smoothed[_IGNORED:-_IGNORED]
    if len(inner) < 2:
        return 1.0
    slopes = np.gradient(inner)
    steepest = int(slopes.argmin())
    return scales()[_IGNORED + steepest] if slopes[steepest] < -_LEAST_FALL * inner[0] else 1.0
