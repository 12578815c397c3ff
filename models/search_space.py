"""What tuning varies, as data: the name of a recipe's value and what it may become."""

from collections.abc import Mapping
from typing import Any, Final

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from models.recipe import Recipe

Space = Mapping[str, BaseDistribution]

_VIEWS: Final[Space] = {
    "smallest_crop": FloatDistribution(0.3, 1.0),
    "rotation": FloatDistribution(0.0, 20.0),
    "jitter": FloatDistribution(0.0, 0.4),
    "erasing": FloatDistribution(0.0, 0.5),
    "flip": CategoricalDistribution((True, False)),
}

# Ranges hold what is sensible around the built-in recipes: a wider one costs trials.
PICTURES: Final[Space] = {
    "epochs": IntDistribution(2, 12),
    "unfrozen_blocks": IntDistribution(1, 10),
    "batch_size": CategoricalDistribution((16, 32, 64)),
    "learning_rate": FloatDistribution(2e-5, 1e-3, log=True),
    "head_learning_rate": FloatDistribution(1e-5, 1e-3, log=True),
    "weight_decay": FloatDistribution(1e-3, 0.3, log=True),
    "dropout": FloatDistribution(0.0, 0.5),
    **_VIEWS,
}

TEXTS: Final[Space] = {
    "epochs": IntDistribution(1, 6),
    "unfrozen_blocks": IntDistribution(1, 6),
    "batch_size": CategoricalDistribution((16, 32, 64)),
    "learning_rate": FloatDistribution(1e-5, 2e-4, log=True),
    "head_learning_rate": FloatDistribution(1e-4, 5e-3, log=True),
    "weight_decay": FloatDistribution(1e-3, 0.3, log=True),
    "warmup_share": FloatDistribution(0.0, 0.3),
    "dropout": FloatDistribution(0.0, 0.4),
}

FROM_SCRATCH: Final[Space] = {
    "batch_size": CategoricalDistribution((16, 32, 64)),
    "learning_rate": FloatDistribution(3e-4, 1e-2, log=True),
    "head_learning_rate": FloatDistribution(3e-4, 1e-2, log=True),
    "weight_decay": FloatDistribution(1e-3, 0.3, log=True),
    "label_smoothing": FloatDistribution(0.0, 0.2),
    "dropout": FloatDistribution(0.0, 0.5),
    **_VIEWS,
}


def space_around(recipe: Recipe, *, is_text: bool, has_weights: bool) -> Space:
    """What may vary; a value of the recipe that lies outside its range stays as it is."""
    space = TEXTS if is_text else PICTURES if has_weights else FROM_SCRATCH
    return {name: what for name, what in space.items() if _holds(what, getattr(recipe, name))}


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return bool(distribution.low <= value <= distribution.high)
