import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from contracts.errors import InvalidRequest
from contracts.manifest import Kind
from models.recipe import RECIPES, TEXT_RECIPES, Recipe


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


def test_values_of_ones_own_change_a_preset() -> None:
    recipe = Recipe.of('{"epochs": 2, "learning_rate": 1}')
    assert (recipe.name, recipe.epochs, recipe.learning_rate) == ("custom", 2, 1)
    assert recipe.unfrozen_blocks == Recipe.from_name("balanced").unfrozen_blocks
    fast = Recipe.of('{"preset": "fast", "dropout": 0.5}', Kind.TEXT)
    assert (fast.epochs, fast.dropout) == (TEXT_RECIPES["fast"].epochs, 0.5)
    assert Recipe.of("accurate") == Recipe.from_name("accurate")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"epochs": "many"}', "epochs"),
        ('{"epochs": -1}', "epochs"),
        ('{"learning_rate": NaN}', "learning_rate"),
        ('{"colour": 1}', "colour"),
        ('{"seed": 1}', "seed cannot be set"),
        ('{"backbone": "cnn"}', "backbone cannot be set"),
        ('{"preset": "slow"}', "'slow' is unknown"),
    ],
)
def test_wrong_values_of_ones_own_are_told(text: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said) as refusal:
        Recipe.of(text)
    assert refusal.value.fix


def test_without_weights_nothing_stays_frozen() -> None:
    recipe = Recipe.from_name("fast").from_scratch()
    assert not recipe.solve_head
    assert not recipe.freeze_batch_norm
    assert recipe.unfrozen_blocks > 100


def test_loads_without_torch() -> None:
    program = "import sys, models.recipe, models.encoder; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_value_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == {*(field.name for field in fields(Recipe)), *RECIPES}


@pytest.mark.parametrize(("name", "value"), [("optimizer", "adam"), ("schedule", "step")])
def test_a_choice_that_does_not_exist_is_refused_with_those_that_do(name: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match=value) as refusal:
        Recipe.from_dict({name: value})
    assert str(getattr(Recipe(), name)) in refusal.value.fix
