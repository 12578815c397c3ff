import numpy as np
import pytest

from models.calibration import (
    HIGHEST,
    LOWEST,
    calibrated_log_loss,
    fit_temperature,
    log_loss,
)


def answers(count: int, sharpness: float, seed: int = 0):
    """Logits whose honest version is divided by `sharpness`, and labels drawn from that."""
    generator = np.random.default_rng(seed)
    honest = generator.normal(size=(count, 4)) * 2
    chances = np.exp(honest) / np.exp(honest).sum(axis=1, keepdims=True)
    labels = np.array([generator.choice(4, p=row) for row in chances])
    return (honest * sharpness).astype(np.float32), labels


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_finds_the_factor_by_which_logits_are_too_sharp(sharpness: float) -> None:
    logits, labels = answers(3_000, sharpness)
    assert fit_temperature(logits, labels) == pytest.approx(sharpness, rel=0.12)


def test_never_raises_the_log_loss() -> None:
    for seed in range(20):
        logits, labels = answers(12, 1.5, seed)
        temperature = fit_temperature(logits, labels)
        assert log_loss(logits, labels, temperature) <= log_loss(logits, labels) + 1e-9


def test_stays_within_bounds_when_everything_is_right() -> None:
    logits = np.eye(3, dtype=np.float32)[np.arange(30) % 3]
    assert LOWEST <= fit_temperature(logits, np.arange(30) % 3) <= HIGHEST


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_examples_change_nothing(count: int) -> None:
    assert fit_temperature(np.zeros((count, 3), np.float32), np.zeros(count, np.int64)) == 1.0


def test_the_calibrated_loss_does_not_depend_on_sharpness() -> None:
    logits, labels = answers(300, 1.0)
    losses = [calibrated_log_loss(logits * factor, labels) for factor in (0.5, 1.0, 4.0)]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-3)
