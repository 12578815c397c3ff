"""One process's part of a training on several devices.

The recipe's batch is the batch of all processes together, so that learning rates and results mean
the same on any number of them: each takes every n-th row of the batches that one would see.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from contracts.bundle import Preprocessing, TextPreprocessing
from models.data import Batch, EpochBatches, ExampleSet
from models.module import FineTuning
from models.recipe import Recipe
from models.torchlibs import torch
from models.views import Draw
from models.zoo import Classifier


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `rank` of `count` equal ones."""

    rank: int
    count: int


class ShardBatches(EpochBatches):
    """The shard of each batch of `EpochBatches`.

    Every process must take every step: one that a small last batch leaves without a row gets the
    batch's first, which `weight` then sets to nothing.
    """

    def __init__(
        self,
        rows: int,
        batch_size: int,
        seed: int,
        shard: Shard,
        lengths: NDArray[np.int64] | None = None,
    ) -> None:
        """Deal `rows` examples in batches of `batch_size` for all shards together."""
        super().__init__(rows, batch_size, seed, shuffle=True, lengths=lengths)
        self.shard = shard

    @override
    def __iter__(self) -> Iterator[list[int]]:
        for batch in super().__iter__():
            yield batch[self.shard.rank :: self.shard.count] or batch[:1]

    def own_rows(self, index: int) -> int:
        """How many of batch `index`'s rows are this shard's; may be 0."""
        return len(range(self.shard.rank, self._whole(index), self.shard.count))

    def weight(self, index: int) -> float:
        """By what to multiply the mean loss of batch `index`'s shard.

        The mean over the shards, which is what DDP takes of gradients, is then the batch's mean,
        although shards may differ by a row.
        """
        return self.own_rows(index) * self.shard.count / self._whole(index)

    def draw(self, index: int) -> Draw:
        """Where the random numbers of batch `index`'s shard come from."""
        rank, count = self.shard.rank, self.shard.count
        rows = slice(rank, None, count) if self.own_rows(index) else slice(0, 1)
        return Draw(self._whole(index), rows, rank)

    def _whole(self, index: int) -> int:
        return min(self.batch_size, self.rows - index * self.batch_size)


class ShardedFineTuning(FineTuning):
    """`FineTuning` on one shard of each batch, validated on the whole validation part."""

    def __init__(
        self,
        classifier: Classifier,
        recipe: Recipe,
        preprocessing: Preprocessing | TextPreprocessing,
        dealt: ShardBatches,
        learnt_labels: torch.Tensor,
        labels: torch.Tensor,
    ) -> None:
        """Train on what `dealt` deals; labels `(n,)` of training and `(m,)` of validation."""
        super().__init__(classifier, recipe, preprocessing, learnt_labels)
        self.dealt, self.labels = dealt, labels

    @override
    def training_step(self, batch: Batch, batch_index: int) -> torch.Tensor:
        """Cross-entropy, weighted so that the gradient is that of the whole batch."""
        loss = self.batch_loss(batch, self.dealt.draw(batch_index))
        self.train_loss.update(loss.detach(), self.dealt.own_rows(batch_index))
        return loss * self.dealt.weight(batch_index)

    @override
    def on_validation_epoch_start(self) -> None:
        """Validate one model: batch norm's statistics may differ between processes, rank 0's count.

        They are also what the checkpoint holds.
        """
        super().on_validation_epoch_start()
        for buffer in self.classifier.buffers():
            torch.distributed.broadcast(buffer, src=0)

    @override
    def on_validation_epoch_end(self) -> None:
        """Bring all shards' logits together, each picture once, and work the figures out."""
        own = torch.cat(self._val_logits).to(self.device)  # (rows of a shard, classes)
        shards = [torch.empty_like(own) for _ in range(self.dealt.shard.count)]
        torch.distributed.all_gather(shards, own)
        # Row i went to shard i % count; what was repeated to make shards equal is at the end.
        logits = torch.stack(shards, dim=1).flatten(0, 1)[: len(self.labels)]
        self._val_logits, self._val_labels = [logits.cpu()], [self.labels]
        self.val_accuracy.reset()
        self.val_accuracy.update(logits, self.labels.to(self.device))
        super().on_validation_epoch_end()


def shard_loaders(
    learn: ExampleSet, check: ExampleSet, recipe: Recipe, shard: Shard
) -> "tuple[torch.utils.data.DataLoader[Batch], torch.utils.data.DataLoader[Batch]]":
    """Return loaders of a shard's training and validation batches."""
    dealt = ShardBatches(len(learn), recipe.batch_size, recipe.seed, shard, learn.lengths)
    rows = torch.utils.data.DistributedSampler[int](check, shard.count, shard.rank, shuffle=False)
    blocks = torch.utils.data.BatchSampler(rows, recipe.batch_size, drop_last=False)
    return (
        torch.utils.data.DataLoader(learn, sampler=dealt, batch_size=None),
        torch.utils.data.DataLoader(check, sampler=blocks, batch_size=None),
    )
