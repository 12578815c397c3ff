"""One training step, as a Lightning module."""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice, repeat
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from contracts.bundle import Preprocessing, TextPreprocessing
from models.calibration import calibrated_log_loss
from models.data import Batch
from models.rate_range import TESTED_STEPS, best_scale, scales
from models.recipe import Recipe
from models.schedule import rate_share, stage_at, stages
from models.torchlibs import lightning, torch, torchmetrics
from models.view_bank import ViewBank
from models.views import Draw, views_of
from models.zoo import Classifier, frozen_copy, in_channels_last

nn = torch.nn
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm)
_PLATEAU_FACTOR: Final = 0.1  # of the rates, once the validation loss has stopped falling


class FineTuning(lightning.LightningModule):
    """Trains a classifier's head and last blocks."""

    def __init__(
        self,
        classifier: Classifier,
        recipe: Recipe,
        preprocessing: Preprocessing | TextPreprocessing,
        labels: torch.Tensor,
    ) -> None:
        """Unfreeze what the recipe says; `labels` `(n,)` are those of all training examples."""
        super().__init__()
        in_channels_last(classifier.blocks)
        self.classifier = classifier
        self.recipe = recipe
        self.steps_per_epoch = max(-(-len(labels) // recipe.batch_size), 1)
        self.stages = stages(recipe, len(classifier.blocks))
        classifier.unfreeze(recipe.unfrozen_blocks)
        self._begin(self.stages[0].blocks)
        classes = classifier.head.out_features
        self.class_weights = torch.nn.Buffer(_class_weights(labels, classes), persistent=False)
        # Of the recipe's peak rates; saved, so that a resumed run goes on with what was found.
        self.rate_scale = torch.nn.Buffer(torch.ones(()))
        self.train_loss = torchmetrics.MeanMetric()
        self.val_loss = math.nan  # of the last validation, at its best temperature
        self._val_logits: list[torch.Tensor] = []
        self._val_labels: list[torch.Tensor] = []
        self.val_accuracy = torchmetrics.classification.MulticlassAccuracy(classes, average="micro")
        self.views = views_of(preprocessing)
        self.train()  # Lightning takes a module's modes as they are and never calls this itself

    def _begin(self, blocks: int) -> None:
        """Let the last `blocks` learn; those before only pass on what they make of an example."""
        self.first = len(self.classifier.blocks) - blocks
        before = nn.Sequential(*list(self.classifier.blocks)[: self.first])
        # In a tuple, so that it is neither trained nor saved.
        self._frozen = (frozen_copy(before).to(self.device),)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Pictures, tokens or a `ViewBank`'s batch to logits `(n, classes)`."""
        if batch.is_floating_point():
            return self.logits(batch.float())
        return self.logits(self._frozen_output(self.views.to_input(batch)))

    def logits(self, maps: torch.Tensor) -> torch.Tensor:
        """The frozen blocks' output to `(n, classes)`."""
        maps = _channels_last(maps)
        features = self.classifier.pool(self.classifier.blocks[self.first :](maps))
        return self.classifier.classify(features)

    @torch.no_grad()
    def _frozen_output(self, inputs: torch.Tensor) -> torch.Tensor:
        """What the blocks that do not learn make of the model's input."""
        output: torch.Tensor = self._frozen[0](_channels_last(inputs))
        return output

    def frozen_view(self, pixels: torch.Tensor, seed: int) -> torch.Tensor:
        """The frozen blocks' output for varied pictures `(n, size, size, 3)`; see `ViewBank`."""
        torch.manual_seed(self.recipe.seed * 1_000_003 + seed)
        pixels = pixels.to(self.device)
        return self._frozen_output(self.views.augmented(pixels, self.recipe, Draw(len(pixels))))

    def frozen_plain(self, pixels: torch.Tensor, seed: int) -> torch.Tensor:
        """The same for pictures as they are."""
        del seed
        return self._frozen_output(self.views.to_input(pixels.to(self.device)))

    @override
    def setup(self, stage: str) -> None:
        """Bring the frozen blocks to the device that training happens on."""
        self._frozen[0].to(self.device)

    @override
    def training_step(self, batch: Batch, batch_index: int) -> torch.Tensor:
        """Cross-entropy of an augmented batch."""
        loss = self.batch_loss(batch, Draw(len(batch[1])))
        self.train_loss.update(loss.detach(), len(batch[1]))
        return loss

    def batch_loss(self, batch: Batch, draw: "Draw") -> torch.Tensor:
        """Mean cross-entropy of an augmented batch; it applies the softmax itself."""
        examples, labels = batch
        # Augmentation and dropout depend on seed and step alone, so a resumed run repeats them.
        seed = self.recipe.seed * 1_000_003 + self.global_step
        torch.manual_seed(seed)
        if examples.is_floating_point():  # of a bank, varied already
            maps = examples.float()
        else:
            maps = self._frozen_output(self.views.augmented(examples, self.recipe, draw))
        if draw.rank > 0:  # dropout differs between processes; the shift keeps seeds apart
            torch.manual_seed(seed + (draw.rank << 52))
        losses = nn.functional.cross_entropy(
            self.logits(maps),
            labels,
            reduction="none",
            label_smoothing=self.recipe.label_smoothing,
        )
        if self.recipe.class_weights:
            losses = losses * self.class_weights[labels]
        if self.recipe.l1:
            return losses.mean() + self.recipe.l1 * self._weights_sum()
        return losses.mean()

    def _weights_sum(self) -> torch.Tensor:
        """Sum of the absolute values of what learns now."""
        learning = (self.classifier.head, self.classifier.blocks[self.first :])
        parameters = chain.from_iterable(part.parameters() for part in learning)
        return torch.stack([weights.abs().sum() for weights in parameters]).sum()

    @override
    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Collect logits and accuracy."""
        examples, labels = batch
        logits = self(examples)
        self._val_logits.append(logits.float().cpu())
        self._val_labels.append(labels.cpu())
        self.val_accuracy.update(logits, labels)

    def on_train_epoch_start(self) -> None:
        """Begin the epoch's mean anew and, at a stage's first epoch, the stage."""
        self.train_loss.reset()
        stage = stage_at(self.stages, self.current_epoch)
        self._begin(stage.blocks)
        self.train()
        _show(self.trainer.train_dataloader, self.current_epoch)
        if self.current_epoch == stage.first_epoch:
            if self.recipe.find_rates:
                # All processes test, as batch norm may need them all; the first one's word counts.
                self.rate_scale.fill_(self.trainer.strategy.broadcast(self._tested_scale()))
            optimizer = self.trainer.optimizers[0]
            for group in optimizer.param_groups:
                share = self._rate_share(self.global_step)
                group["lr"] = group["peak"] * share

    def _tested_scale(self) -> float:
        """Train a copy at rates that rise with every step; return the scale that did best."""
        losses = []
        loader: Any = self.trainer.train_dataloader
        batches = chain.from_iterable(repeat(loader))
        with self._on_a_copy():
            optimizer = self._optimizer()
            for scale, (examples, labels) in zip(
                scales(), islice(batches, TESTED_STEPS), strict=True
            ):
                for group in optimizer.param_groups:
                    group["lr"] = group["peak"] * scale
                batch = (examples.to(self.device), labels.to(self.device))
                loss = self.batch_loss(batch, Draw(len(labels)))
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                losses.append(float(loss.detach()))
        return best_scale(losses)

    @contextmanager
    def _on_a_copy(self) -> Iterator[None]:
        classifier = self.classifier
        self.classifier = copy.deepcopy(classifier)
        try:
            yield
        finally:
            self.classifier = classifier

    def on_validation_epoch_start(self) -> None:
        """Begin the epoch's figures anew."""
        _show(self.trainer.val_dataloaders, self.current_epoch)
        self._val_logits.clear()
        self._val_labels.clear()
        self.val_accuracy.reset()

    def on_validation_epoch_end(self) -> None:
        """Work the figures out and hand them to the loggers."""
        logits, labels = torch.cat(self._val_logits), torch.cat(self._val_labels)
        self.val_loss = calibrated_log_loss(logits.numpy(), labels.numpy())
        self.log("val_loss", self.val_loss)
        self.log("val_accuracy", self.val_accuracy.compute())

    @property
    def val_logits(self) -> torch.Tensor:
        """`(m, classes)` of the last validation, in the order of its examples."""
        return torch.cat(self._val_logits)

    def on_train_epoch_end(self) -> None:
        """Hand the mean training loss to the loggers."""
        self.log("train_loss", self.train_loss.compute())

    def train(self, mode: bool = True) -> "FineTuning":
        """Switch modes; frozen blocks, and batch norm if the recipe says so, stay in evaluation."""
        super().train(mode)
        self.classifier.blocks[: self.first].eval()
        if self.recipe.freeze_batch_norm:
            for module in self.classifier.modules():
                if isinstance(module, _NORMS):
                    module.eval()
        return self

    def configure_optimizers(self) -> Any:
        """The recipe's optimizer and schedule; the head has a learning rate of its own."""
        optimizer = self._optimizer()
        if self.recipe.schedule == "plateau":
            schedule: Any = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimizer, factor=_PLATEAU_FACTOR, patience=max(self.recipe.patience // 3, 1)
            )
            return {
                "optimizer": optimizer,
                "lr_scheduler": {"scheduler": schedule, "monitor": "val_loss"},
            }
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate_share)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _optimizer(self) -> torch.optim.Optimizer:
        recipe = self.recipe
        head = list(self.classifier.head.parameters())
        blocks = [p for p in self.classifier.blocks.parameters() if p.requires_grad]
        rates = [recipe.head_learning_rate, recipe.learning_rate]
        groups = [
            {"params": parameters, "lr": rate, "peak": rate}
            for parameters, rate in zip((head, blocks), rates, strict=True)
            if parameters
        ]
        if recipe.optimizer == "sgd":
            return torch.optim.SGD(
                groups, momentum=recipe.momentum, weight_decay=recipe.weight_decay
            )
        return torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)

    def _rate_share(self, step: int) -> float:
        """What a peak rate is multiplied with at a step of the whole training."""
        epoch, of_epoch = divmod(step, self.steps_per_epoch)
        stage = stage_at(self.stages, epoch)
        done = (epoch - stage.first_epoch) * self.steps_per_epoch + of_epoch
        share = rate_share(self.recipe, done, max(stage.epochs, 1) * self.steps_per_epoch)
        return share * float(self.rate_scale)


def _channels_last(maps: Any) -> Any:
    """Blocks may hand on more than a tensor, such as hidden states with their mask."""
    is_picture = isinstance(maps, torch.Tensor) and maps.dim() == 4
    return maps.contiguous(memory_format=torch.channels_last) if is_picture else maps


def _show(loader: Any, epoch: int) -> None:
    if isinstance(loader.dataset, ViewBank):
        loader.dataset.show(epoch)


def _class_weights(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """`(classes,)`: of equal sum over each class's examples, 1 on average over all of them."""
    counts = torch.bincount(labels, minlength=classes)
    return len(labels) / (counts.clamp(min=1) * (counts > 0).sum())


def set_head(
    classifier: Classifier, weight: NDArray[np.float32], bias: NDArray[np.float32]
) -> None:
    """Give a classifier a solved head: `(feature_dim, classes)` and `(classes,)`."""
    with torch.no_grad():
        classifier.head.weight.copy_(torch.from_numpy(weight.T))
        classifier.head.bias.copy_(torch.from_numpy(bias))
