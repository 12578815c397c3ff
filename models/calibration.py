"""Temperature scaling: make probabilities mean what they say (Guo et al. 2017).

SciPy's optimiser is imported by the function that needs it: it takes 0.7 s.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

# Outside of this a fit says more about too few examples than about the model.
LOWEST: Final = 0.25
HIGHEST: Final = 10.0


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the temperature with the least log loss, or 1.0 where it does not help for certain.

    `logits` `(n, classes)` must be of examples the model has not learned from. Each half of them is
    scored with the temperature of the other half; 1.0 is kept unless that lowers the log loss.
    """
    if len(labels) < 2:
        return 1.0
    halves = np.arange(len(labels)) % 2 == 0
    crossed = sum(
        _total_loss(logits[part], labels[part], _best_temperature(logits[~part], labels[~part]))
        for part in (halves, ~halves)
    )
    if crossed >= _total_loss(logits, labels, 1.0):
        return 1.0
    return _best_temperature(logits, labels)


def calibrated_log_loss(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Log loss at the best temperature: compares models regardless of how sharp each one is.

    Smoother than accuracy on few examples, and fair to label smoothing, which blunts logits.
    """
    return log_loss(logits, labels, _best_temperature(logits, labels))


def log_loss(
    logits: NDArray[np.float32], labels: NDArray[np.int64], temperature: float = 1.0
) -> float:
    """Mean negative log probability of the right class, in nats."""
    return _total_loss(logits, labels, temperature) / max(len(labels), 1)


def _total_loss(
    logits: NDArray[np.float32], labels: NDArray[np.int64], temperature: float
) -> float:
    scores = logits.astype(np.float64) / temperature
    scores -= scores.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(scores).sum(axis=1))
    return float((log_sums - scores[np.arange(len(labels)), labels]).sum())


def _best_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    from scipy.optimize import minimize_scalar

    result = minimize_scalar(
        lambda log_t: _total_loss(logits, labels, float(np.exp(log_t))),
        bounds=(np.log(LOWEST), np.log(HIGHEST)),
        method="bounded",
    )
    return float(np.exp(result.x))
