"""When which blocks learn, and at what share of their peak rates."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from models.recipe import Recipe

_CYCLE_START: Final = 1 / 25  # of the peak rate


@dataclass(frozen=True, slots=True)
class Stage:
    """Epochs in which the same blocks learn."""

    first_epoch: int
    epochs: int
    blocks: int  # that learn, counted from the backbone's end


def stages(recipe: Recipe, blocks: int) -> list[Stage]:
    """Divide a recipe's epochs; of the `blocks` there are, more learn in each stage.

    Where no head was solved, only the head learns in the first of several stages.
    """
    count = max(min(recipe.unfreezing_stages, recipe.epochs), 1)
    most = min(recipe.unfrozen_blocks, blocks)
    borders = [round(recipe.epochs * index / count) for index in range(count + 1)]
    lead = int(recipe.solve_head or count == 1)
    shares = [(index + lead) / (count - 1 + lead) for index in range(count)]
    return [
        Stage(start, end - start, math.ceil(most * share))
        for (start, end), share in zip(pairwise(borders), shares, strict=True)
    ]


def stage_at(plan: Sequence[Stage], epoch: int) -> Stage:
    """Return the stage that an epoch belongs to; the last one for those beyond all."""
    return next((s for s in plan if epoch < s.first_epoch + s.epochs), plan[-1])


def rate_share(recipe: Recipe, step: int, steps: int) -> float:
    """Share of the peak rate, 0..1, for step `step` of a stage's `steps`."""
    return _SHARES[recipe.schedule](recipe, step, steps)


def _cosine(recipe: Recipe, step: int, steps: int) -> float:
    warmup = recipe.warmup_share * steps
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return _falling((step - warmup) / max(steps - warmup, 1))


def _one_cycle(recipe: Recipe, step: int, steps: int) -> float:
    rise = recipe.warmup_share * steps
    if step < rise:
        return _CYCLE_START + (1 - _CYCLE_START) * (1 - _falling(step / rise))
    return _falling((step - rise) / max(steps - rise, 1))


def _constant(recipe: Recipe, step: int, steps: int) -> float:
    del recipe, step, steps
    return 1.0


def _falling(progress: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


_SHARES: Final[dict[str, Callable[[Recipe, int, int], float]]] = {
    "cosine": _cosine,
    "one_cycle": _one_cycle,
    "plateau": _constant,  # the optimizer's own schedule lowers it
    "constant": _constant,
}
