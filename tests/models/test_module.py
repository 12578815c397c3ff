from typing import Any

import numpy as np
import pytest

from contracts.bundle import Preprocessing
from models.data import PictureSet, batches
from models.fitting import quiet
from models.module import FineTuning
from models.recipe import Recipe
from models.schedule import rate_share
from models.torchlibs import lightning, torch
from models.views import augment
from models.zoo import ZOO, build

CNN = ZOO["cnn"].preprocessing


def module(**changes: object) -> FineTuning:
    recipe = Recipe.from_dict({"backbone": "cnn"} | changes)
    return FineTuning(build("cnn", 3), recipe, CNN, torch.arange(80) % 3)


def one_step(tuned: FineTuning) -> None:
    """A step as Lightning makes it, on noise; the head is random so that gradients flow."""
    torch.nn.init.normal_(tuned.classifier.head.weight)
    optimizer = tuned.configure_optimizers()["optimizer"]
    tuned.train()
    pixels = torch.randint(0, 256, (8, 64, 64, 3), dtype=torch.uint8)
    tuned.training_step((pixels, torch.arange(8) % 3), 0).backward()
    optimizer.step()


@pytest.mark.parametrize(("unfrozen", "first"), [(0, 5), (2, 3), (5, 0)])
def test_the_last_blocks_really_learn_and_the_others_do_not(unfrozen: int, first: int) -> None:
    tuned = module(unfrozen_blocks=unfrozen, freeze_batch_norm=False)
    before = {k: v.clone() for k, v in tuned.classifier.state_dict().items()}
    one_step(tuned)
    changed = {k for k, v in tuned.classifier.state_dict().items() if not torch.equal(v, before[k])}
    blocks = {int(name.split(".")[1]) for name in changed if name.startswith("blocks")}
    assert blocks == set(range(first, 5))
    assert "head.weight" in changed


def test_frozen_batch_norm_keeps_its_statistics() -> None:
    tuned = module(unfrozen_blocks=5, freeze_batch_norm=True)
    one_step(tuned)
    norms = [m for m in tuned.classifier.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(not norm.training and norm.running_mean.abs().max() == 0 for norm in norms)


@pytest.mark.parametrize("freeze", [True, False])
def test_batch_norm_is_frozen_in_a_real_training_too(freeze: bool) -> None:
    """Lightning switches no modes by itself: what counts is how it finds them, in every epoch."""
    tuned = module(unfrozen_blocks=5, freeze_batch_norm=freeze)
    seen: list[bool] = []

    class Watch(lightning.Callback):
        def on_train_batch_start(self, trainer: Any, module: Any, *_: Any) -> None:
            norms = [m for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d)]
            seen.append(any(norm.training for norm in norms))

    pixels = torch.randint(0, 256, (8, 64, 64, 3), dtype=torch.uint8)
    pictures = batches(PictureSet(pixels.numpy(), [0, 1, 2, 0, 1, 2, 0, 1]), 8)
    with quiet():
        trainer = lightning.Trainer(
            max_epochs=2,
            accelerator="cpu",
            logger=False,
            callbacks=[Watch()],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(tuned, pictures, pictures)
    assert seen == [not freeze] * 2


@pytest.mark.parametrize("unfrozen", [0, 2, 5])
def test_training_and_export_see_the_same_network(unfrozen: int) -> None:
    tuned = module(unfrozen_blocks=unfrozen)
    one_step(tuned)
    tuned.eval()
    pixels = torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8)
    with torch.inference_mode():
        difference = tuned(pixels) - tuned.classifier(tuned.views.to_input(pixels))
    assert difference.abs().max() < 1e-4


def test_the_loss_is_taken_of_logits() -> None:
    tuned = module(label_smoothing=0.0, dropout=0.0)
    tuned.classifier.head.bias.data = torch.tensor([50.0, 0.0, 0.0])
    pixels = torch.zeros((2, 64, 64, 3), dtype=torch.uint8)
    right = tuned.training_step((pixels, torch.tensor([0, 0])), 0)
    wrong = tuned.training_step((pixels, torch.tensor([1, 1])), 0)
    assert right.item() == pytest.approx(0, abs=1e-4)
    assert wrong.item() == pytest.approx(50, rel=0.01)  # after a softmax it could not exceed 1


def test_the_rate_rises_and_falls_to_zero() -> None:
    recipe = Recipe(warmup_share=0.2)
    shares = [rate_share(recipe, step, 10) for step in range(11)]
    assert shares[0] < shares[1] < shares[2] == 1.0
    assert shares[2:] == sorted(shares[2:], reverse=True)
    assert shares[10] == pytest.approx(0)


def test_the_frozen_copy_is_not_saved() -> None:
    assert not [name for name in module(unfrozen_blocks=2).state_dict() if "_frozen" in name]


def test_augmentation_changes_pictures_but_not_their_shape() -> None:
    images = torch.rand(6, 3, 32, 32)
    views = augment(images, Recipe())
    assert views.shape == images.shape
    assert (views - images).abs().amax(dim=(1, 2, 3)).min() > 0.01


def test_augmentation_can_be_switched_off() -> None:
    recipe = Recipe(smallest_crop=1.0, flip=False, jitter=0.0)
    images = torch.rand(64, 3, 32, 32)
    changed = (augment(images, recipe) - images).abs().mean(dim=(1, 2, 3))
    assert changed.median().item() < 0.2  # only the aspect still varies


def test_without_flip_left_stays_left() -> None:
    images = torch.zeros(64, 3, 32, 32)
    images[..., :16] = 1.0
    recipe = Recipe(flip=False, jitter=0.0)
    views = augment(images, recipe)
    assert (views[..., :8].mean(dim=(1, 2, 3)) > views[..., -8:].mean(dim=(1, 2, 3))).all()
    mirrored = augment(images, Recipe(jitter=0.0))
    assert (mirrored[..., :8].mean(dim=(1, 2, 3)) < mirrored[..., -8:].mean(dim=(1, 2, 3))).any()


def test_input_follows_the_preprocessing() -> None:
    preprocessing = Preprocessing(64, 64, (0.5, 0.25, 0.0), (0.5, 0.25, 1.0))
    tuned = FineTuning(build("cnn", 2), Recipe(backbone="cnn"), preprocessing, torch.arange(2))
    white = tuned.views.to_input(torch.full((1, 4, 4, 3), 255, dtype=torch.uint8))
    assert np.allclose(white[0, :, 0, 0], [1.0, 3.0, 1.0])


VARIED = {"smallest_crop": 1.0, "flip": False, "jitter": 0.0}


def test_erasing_cuts_one_rectangle_out_of_some_pictures() -> None:
    images = torch.ones(64, 3, 40, 40)
    recipe = Recipe.from_dict(VARIED | {"erasing": 0.5})
    torch.manual_seed(0)
    hidden = (augment(images, recipe) == 0).all(dim=1)
    share = hidden.float().mean(dim=(1, 2))
    assert 20 < (share > 0).sum() < 44
    assert share[share > 0].min() > 0.01
    assert share.max() < 0.22
    for picture in hidden[share > 0]:
        rows, columns = picture.any(dim=1).sum(), picture.any(dim=0).sum()
        assert picture.sum() == rows * columns


def test_colours_shift_each_by_itself() -> None:
    views = augment(torch.zeros(8, 3, 8, 8), Recipe.from_dict(VARIED | {"colour_shift": 0.3}))
    channels = views.mean(dim=(2, 3))
    assert channels.std(dim=1).min() > 0.001
    assert channels.abs().max() <= 0.3


def test_pictures_turn_about_their_middle() -> None:
    images = torch.zeros(32, 3, 41, 41)
    images[:, :, 18:23] = 1.0  # a bar across
    views = augment(images, Recipe.from_dict(VARIED | {"rotation": 90}))
    assert (views[:, 0, 20, 20] > 0.9).all()
    ends = views[:, 0, :, 20].mean(dim=1)  # of the column through the middle
    assert ends.max() > 2 * ends.min()


def test_rare_classes_weigh_as_much_as_frequent_ones() -> None:
    labels = torch.tensor([0] * 6 + [1] * 2 + [2])
    recipe = Recipe.from_dict({"backbone": "cnn", "class_weights": True})
    tuned = FineTuning(build("cnn", 3), recipe, CNN, labels)
    weights = tuned.class_weights[labels]
    assert weights.mean() == pytest.approx(1)
    assert weights[:6].sum() == pytest.approx(3)
    assert weights[8:].sum() == pytest.approx(3)


def test_l1_pulls_every_learning_weight_towards_zero() -> None:
    tuned = module(l1=0.01, unfrozen_blocks=2, weight_decay=0.0)
    pixels, labels = torch.zeros((2, 64, 64, 3), dtype=torch.uint8), torch.tensor([0, 1])
    plain = module(unfrozen_blocks=2)
    plain.classifier.load_state_dict(tuned.classifier.state_dict())
    learning = (tuned.classifier.head, tuned.classifier.blocks[3:])
    total = sum(weights.abs().sum().item() for part in learning for weights in part.parameters())
    difference = tuned.training_step((pixels, labels), 0) - plain.training_step((pixels, labels), 0)
    assert difference.item() == pytest.approx(0.01 * total, rel=1e-3)


def test_sgd_has_the_recipes_momentum() -> None:
    optimizer = module(optimizer="sgd", momentum=0.8)._optimizer()
    assert isinstance(optimizer, torch.optim.SGD)
    assert {group["momentum"] for group in optimizer.param_groups} == {0.8}
