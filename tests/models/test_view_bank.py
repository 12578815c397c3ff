from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import view_bank
from models.data import PictureSet, TrainingData
from models.module import FineTuning
from models.torchlibs import torch
from models.training import VIEWS, banked, train
from models.view_bank import ViewBank
from models.zoo import ZOO, build
from tests.models.test_training import RECIPE, Killed, digits

CNN = ZOO["cnn"].preprocessing
KEPT = replace(RECIPE, solve_head=True, unfrozen_blocks=1, kept_views=2)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return digits(tmp_path_factory.mktemp("digits"))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.save(build("cnn", 3).blocks.state_dict(), tmp_path / "w.pth")
    return tmp_path / "w.pth"


@pytest.fixture
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small network's outputs are larger than its small pictures."""
    monkeypatch.setattr(view_bank, "MOST_BYTES", 10.0)


def pictures(count: int = 40) -> PictureSet:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), np.uint8)
    return PictureSet(pixels, [index % 3 for index in range(count)])


def tuned(**changes: object) -> FineTuning:
    recipe = replace(KEPT, **changes)
    return FineTuning(build("cnn", 3), recipe, CNN, pictures().labels)


@pytest.mark.usefixtures("roomy")
def test_what_is_kept_gives_what_the_pixels_give(tmp_path: Path) -> None:
    module, seen = tuned(), pictures()
    torch.nn.init.normal_(module.classifier.head.weight, std=0.1)
    module.eval()
    learn, check = banked(module, seen, seen, tmp_path)
    assert isinstance(learn, ViewBank)
    assert isinstance(check, ViewBank)
    check.show(0)
    rows = [3, 1, 39]
    with torch.inference_mode():
        difference = module(check[rows][0]) - module(seen[rows][0])
    assert difference.abs().max() < 5e-3  # of float16
    assert torch.equal(check[rows][1], seen[rows][1])


@pytest.mark.usefixtures("roomy")
def test_epochs_take_turns_at_the_views(tmp_path: Path) -> None:
    learn, _ = banked(tuned(), pictures(), pictures(), tmp_path)
    assert isinstance(learn, ViewBank)
    shown = []
    for epoch in range(3):
        learn.show(epoch)
        shown.append(learn[[0, 7]][0].clone())
    assert not torch.equal(shown[0], shown[1])
    assert torch.equal(shown[0], shown[2])


@pytest.mark.usefixtures("roomy")
@pytest.mark.parametrize(
    "changes", [{"kept_views": 0}, {"unfrozen_blocks": 5}, {"unfreezing_stages": 2}]
)
def test_pixels_are_learnt_from_where_nothing_stays_frozen(
    tmp_path: Path, changes: dict[str, int]
) -> None:
    seen = pictures()
    assert banked(tuned(**changes), seen, seen, tmp_path) == (seen, seen)


def test_outputs_larger_than_the_pixels_are_not_kept(tmp_path: Path) -> None:
    seen = pictures()
    assert banked(tuned(), seen, seen, tmp_path) == (seen, seen)


@pytest.mark.usefixtures("roomy")
def test_learns_as_well_and_leaves_nothing(
    data: TrainingData, tmp_path: Path, weights: Path
) -> None:
    kept = train(KEPT, data, weights, tmp_path / "kept")
    fresh = train(replace(KEPT, kept_views=0), data, weights, tmp_path / "fresh")
    assert kept.val_loss == pytest.approx(fresh.val_loss, rel=0.2)
    assert not (tmp_path / "kept" / VIEWS).exists()


@pytest.mark.usefixtures("roomy")
def test_a_training_that_failed_leaves_no_view_to_another(
    data: TrainingData, tmp_path: Path, weights: Path
) -> None:
    def fail(result: object) -> None:
        assert list((tmp_path / VIEWS).rglob("view-0.npy"))
        raise Killed

    with pytest.raises(Killed):
        train(replace(KEPT, solve_head=False), data, weights, tmp_path, on_epoch=fail)
    assert not (tmp_path / VIEWS).exists()


@pytest.mark.usefixtures("roomy")
def test_a_part_written_view_is_made_again(tmp_path: Path) -> None:
    learn, _ = banked(tuned(), pictures(), pictures(), tmp_path)
    assert isinstance(learn, ViewBank)
    learn.show(0)
    whole = learn[[5]][0].clone()
    (file,) = tmp_path.rglob("view-0.npy")
    file.rename(file.with_suffix(".part"))
    again, _ = banked(tuned(), pictures(), pictures(), tmp_path)
    assert isinstance(again, ViewBank)
    again.show(0)
    assert torch.allclose(again[[5]][0].mean(), whole.mean(), rtol=0.5)
    assert not list(tmp_path.rglob("*.part"))
