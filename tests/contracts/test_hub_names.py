"""Names of the hub's models: what is taken, and that files named by them stay safe."""

import pytest

from contracts import keys
from contracts.errors import InvalidRequest
from contracts.hub_names import file_stem, hub_id
from contracts.requests import TrainRequest

GOOD = ("hf:google/vit-base-patch16-224", "hf:a/b", "hf:Me_2/x.y-z_", f"hf:a/{'b' * 94}")
BAD = (
    *("hf:", "hf:bert", "hf:a/b/c", "hf:/b", "hf:a/", "hf:../b", "hf:a/..", "hf:a/b..c", "hf:.a/b"),
    *("hf:a/-b", "hf:a/b-", "hf:a--b/c", "hf:a/b.", "hf:a /b", "hf:a/b\n", "hf:a/b?c", "hf:a\\b/c"),
    *("hf:ä/b", "hf:a/b;rm", f"hf:a/{'b' * 95}", "hf:a/b#c", "HF:a/b"),
)


@pytest.mark.parametrize("name", GOOD)
def test_a_model_of_the_hub_may_be_asked_for(name: str) -> None:
    assert TrainRequest.parse({"model": name}).model == name
    assert hub_id(name) == name.removeprefix("hf:")
    assert keys.weights(f"{file_stem(name)}.zip").startswith("weights/")


@pytest.mark.parametrize("name", BAD)
def test_anything_else_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        TrainRequest.parse({"model": name})
    assert refusal.value.fix


def test_two_models_never_share_a_file() -> None:
    assert file_stem("hf:a-b/c") != file_stem("hf:a/b-c")
