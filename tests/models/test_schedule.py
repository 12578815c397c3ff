from dataclasses import replace
from itertools import pairwise

import pytest

from models.recipe import SCHEDULES, Recipe
from models.schedule import rate_share, stage_at, stages

STAGED = Recipe(epochs=7, unfrozen_blocks=5, unfreezing_stages=3, solve_head=False)


def test_by_default_everything_learns_at_once() -> None:
    (only,) = stages(Recipe(epochs=6, unfrozen_blocks=5), 19)
    assert (only.first_epoch, only.epochs, only.blocks) == (0, 6, 5)


def test_blocks_join_in_from_the_end_and_the_head_comes_first() -> None:
    plan = stages(STAGED, 19)
    assert [stage.blocks for stage in plan] == [0, 3, 5]
    assert sum(stage.epochs for stage in plan) == 7
    assert all(a.first_epoch + a.epochs == b.first_epoch for a, b in pairwise(plan))


def test_a_solved_head_needs_no_stage_of_its_own() -> None:
    plan = stages(replace(STAGED, solve_head=True), 19)
    assert [stage.blocks for stage in plan] == [2, 4, 5]


@pytest.mark.parametrize("epochs", [0, 1, 2])
def test_fewer_epochs_than_stages_still_end_with_all_blocks(epochs: int) -> None:
    plan = stages(replace(STAGED, epochs=epochs), 4)
    assert plan[-1].blocks == 4
    assert all(stage.epochs for stage in plan) or epochs == 0


def test_every_epoch_has_a_stage() -> None:
    plan = stages(STAGED, 19)
    assert [plan.index(stage_at(plan, epoch)) for epoch in range(8)] == [0, 0, 1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_shares_stay_within_the_peak(schedule: str) -> None:
    recipe = Recipe(schedule=schedule)
    shares = [rate_share(recipe, step, 50) for step in range(51)]
    assert all(0 <= share <= 1 for share in shares)
    assert max(shares) == pytest.approx(1, abs=0.01)
    assert shares[0] > 0
    if schedule in {"cosine", "one_cycle"}:
        assert shares[-1] == pytest.approx(0)
