from itertools import chain

import numpy as np
import pytest

from models.data import EpochBatches
from models.recipe import Recipe
from models.sharding import Shard, ShardBatches
from models.torchlibs import torch
from models.views import Draw, augment


def shards(rows: int, batch_size: int, count: int) -> list[ShardBatches]:
    return [ShardBatches(rows, batch_size, 0, Shard(rank, count)) for rank in range(count)]


@pytest.mark.parametrize(("rows", "batch_size", "count"), [(17, 8, 2), (30, 7, 4), (3, 2, 4)])
def test_shards_are_the_batches_of_one_process_taken_apart(
    rows: int, batch_size: int, count: int
) -> None:
    whole = list(EpochBatches(rows, batch_size, 0, shuffle=True))
    dealt = shards(rows, batch_size, count)
    parts = [list(shard) for shard in dealt]
    assert {len(part) for part in parts} == {len(whole)} == {len(shard) for shard in dealt}
    for index, batch in enumerate(whole):
        own = [part[index][: s.own_rows(index)] for part, s in zip(parts, dealt, strict=True)]
        assert sorted(chain(*own)) == sorted(batch)
        assert all(part[index] for part in parts)  # a process without a row could take no step


@pytest.mark.parametrize(("rows", "batch_size", "count"), [(17, 8, 2), (30, 7, 4), (3, 2, 4)])
def test_the_weighted_mean_over_shards_is_the_batchs_mean(
    rows: int, batch_size: int, count: int
) -> None:
    losses = np.random.default_rng(0).random(rows)
    dealt = shards(rows, batch_size, count)
    parts = [list(shard) for shard in dealt]
    for index, batch in enumerate(EpochBatches(rows, batch_size, 0, shuffle=True)):
        weighted = [
            losses[part[index]].mean() * shard.weight(index)
            for part, shard in zip(parts, dealt, strict=True)
        ]
        assert np.mean(weighted) == pytest.approx(losses[batch].mean())


def test_a_picture_is_augmented_alike_on_any_number_of_processes() -> None:
    images = torch.rand(5, 3, 16, 16)
    torch.manual_seed(1)
    whole = augment(images, Recipe())
    for rank in range(2):
        rows = slice(rank, None, 2)
        torch.manual_seed(1)
        part = augment(images[rows], Recipe(), Draw(5, rows, rank))
        assert torch.allclose(part, whole[rows], atol=1e-6)
