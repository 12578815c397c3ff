import math

import numpy as np
import pytest

from models.rate_range import TESTED_STEPS, best_scale, scales


def test_the_rate_of_the_steepest_fall_is_found() -> None:
    steps = np.arange(TESTED_STEPS)
    losses = 2 - 1.5 / (1 + np.exp(-(steps - 30) / 2))  # falls around step 30
    assert scales()[30] <= best_scale(losses.tolist()) <= scales()[40]


def test_what_diverges_at_once_is_given_the_lowest_rates() -> None:
    steps = np.arange(TESTED_STEPS)
    losses = np.where(steps < 20, 2 - 0.03 * steps, 2.0 ** (steps - 18))
    assert best_scale(losses.tolist()) < scales()[20]


@pytest.mark.parametrize("losses", [[], [1.0] * TESTED_STEPS, [math.nan] * TESTED_STEPS])
def test_without_a_fall_the_recipes_own_rates_stay(losses: list[float]) -> None:
    assert best_scale(losses) == 1.0
