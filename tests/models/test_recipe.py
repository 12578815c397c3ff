import subprocess
import sys

import pytest

from contracts.errors import InvalidRequest
from models.recipe import RECIPES, Recipe


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_survives_the_way_through_a_dict(name: str) -> None:
    recipe = Recipe.from_name(name)
    assert recipe.name == name
    assert Recipe.from_dict(recipe.as_dict()) == recipe


def test_an_unknown_recipe_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        Recipe.from_name("magic")
    assert "balanced" in refusal.value.fix


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", -1),
        ("epochs", 1.5),
        ("epochs", True),
        ("batch_size", 0),
        ("learning_rate", float("nan")),
        ("learning_rate", "fast"),
        ("dropout", 1.0),
        ("flip", 1),
        ("backbone", 3),
        ("no_such_value", 1),
    ],
)
def test_a_wrong_value_is_named(name: str, value: object) -> None:
    with pytest.raises(InvalidRequest, match=name):
        Recipe.from_dict({name: value})


def test_whole_numbers_do_for_fractions() -> None:
    assert Recipe.from_dict({"weight_decay": 0}).weight_decay == 0


def test_without_weights_nothing_stays_frozen() -> None:
    recipe = Recipe.from_name("fast").from_scratch()
    assert not recipe.solve_head
    assert not recipe.freeze_batch_norm
    assert recipe.unfrozen_blocks > 100


def test_loads_without_torch() -> None:
    program = "import sys, models.recipe, models.encoder; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
