"""Whether probabilities mean what they say: of answers given with 80 %, are 80 % right?"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

BINS: Final = 15


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of like confidence; both rates are 0..1."""

    examples: int
    confidence: float  # mean
    accuracy: float


def reliability(
    confidence: NDArray[np.float64], is_right: NDArray[np.bool_], bins: int = BINS
) -> list[Bin]:
    """Sort answers `(n,)` into equally wide bins of confidence; empty ones are left out."""
    places = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    found = []
    for place in range(bins):
        inside = places == place
        if inside.any():
            share = float(is_right[inside].mean())
            found.append(Bin(int(inside.sum()), float(confidence[inside].mean()), share))
    return found


def expected_calibration_error(
    confidence: NDArray[np.float64], is_right: NDArray[np.bool_], bins: int = BINS
) -> float:
    """Mean gap between confidence and accuracy over the bins, weighted by their answers, 0..1.

    Source: Naeini et al. 2015; Guo et al. 2017, eq. 3.
    """
    total = max(len(confidence), 1)
    return sum(
        part.examples / total * abs(part.confidence - part.accuracy)
        for part in reliability(confidence, is_right, bins)
    )
