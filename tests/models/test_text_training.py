"""Fine-tuning of text: the same training as pictures', and pairs where there is little of it."""

from pathlib import Path

import numpy as np
import pytest

from models.checkpoints import EpochResult, load_best
from models.contrastive import pair_loss
from models.data import TokenSet, TrainingData, batches
from models.recipe import TEXT_RECIPES, Recipe
from models.sentence_encoders import read_tokenizer
from models.torchlibs import torch
from models.training import train
from tests.sentence_encoder import packed_encoder
from tests.texts import labelled_texts

NAMES = ["food", "sport", "weather"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed_encoder(tmp_path_factory.mktemp("encoder"))


def recipe(**changes: object) -> Recipe:
    return Recipe.from_dict(TEXT_RECIPES["balanced"].as_dict() | {"epochs": 1} | changes)


def data(encoder: Path, folder: Path, per_class: int) -> TrainingData:
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_bytes(read_tokenizer(encoder))
    rows, check = labelled_texts(per_class), labelled_texts(4, seed=9)
    return TrainingData(
        train_sources=[text for text, _ in rows],
        train_labels=[NAMES.index(name) for _, name in rows],
        validation_sources=[text for text, _ in check],
        validation_labels=[NAMES.index(name) for _, name in check],
        classes=tuple(NAMES),
        tokenizer=tokenizer,
    )


def test_layers_and_head_are_tuned(encoder: Path, tmp_path: Path) -> None:
    seen: list[EpochResult] = []
    given = data(encoder, tmp_path, 55)
    trained = train(
        recipe(unfrozen_blocks=2), given, encoder, tmp_path / "run", on_epoch=seen.append
    )
    assert [result.epoch for result in seen] == [0, 1]  # head, layers
    assert trained.held_out_logits.shape == (12, 3)
    assert trained.val_accuracy > 0.8
    classifier, used = load_best(trained.best_checkpoint)
    assert used.backbone == "minilm_l6"
    with torch.inference_mode():
        assert classifier(torch.tensor([[101, 4542, 102, 0, 0]])).shape == (1, 3)


def test_few_texts_are_tuned_on_pairs_as_well(encoder: Path, tmp_path: Path) -> None:
    seen: list[EpochResult] = []
    given = data(encoder, tmp_path, 6)
    trained = train(
        recipe(contrastive_steps=12), given, encoder, tmp_path / "run", on_epoch=seen.append
    )
    assert [result.epoch for result in seen] == [0, 1, 2]  # head, layers, pairs
    assert seen[2].val_loss < seen[0].val_loss
    assert trained.val_loss <= seen[2].val_loss


def test_without_pairs_none_are_made(encoder: Path, tmp_path: Path) -> None:
    seen: list[EpochResult] = []
    given = data(encoder, tmp_path, 6)
    train(recipe(contrastive_steps=0), given, encoder, tmp_path / "run", on_epoch=seen.append)
    assert [result.epoch for result in seen] == [0, 1]


def test_pairs_of_like_texts_cost_their_distance() -> None:
    east, north = [1.0, 0.0], [0.0, 1.0]
    labels = torch.tensor([0, 0, 1])
    assert pair_loss(torch.tensor([east, east, north]), labels) == 0
    assert pair_loss(torch.tensor([east, north, north]), labels) == 1 + 0.5
    assert pair_loss(torch.tensor([east]), torch.tensor([0])) == 0


def test_batches_hold_texts_of_like_length_and_every_row_once() -> None:
    lengths = np.random.default_rng(0).integers(2, 60, 1_000)
    tokens = TokenSet([np.full(n, 7, np.int64) for n in lengths], list(range(1_000)), pad_id=0)
    loader = batches(tokens, 16, seed=3, shuffle=True)
    padding, rows, sizes = 0, [], []
    for examples, labels in loader:
        padding += int((examples == 0).sum())
        rows += labels.tolist()
        sizes.append(len(labels))
    assert sorted(rows) == list(range(1_000))
    assert padding < 0.05 * lengths.sum()
    assert sizes[:-1] == [16] * (len(sizes) - 1)
