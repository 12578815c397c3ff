"""One training step and its schedule, as a Lightning module."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from contracts.bundle import Preprocessing, TextPreprocessing
from models.calibration import calibrated_log_loss
from models.data import Batch
from models.recipe import Recipe
from models.torchlibs import lightning, torch, torchmetrics
from models.views import Draw, views_of
from models.zoo import Classifier, frozen_copy, in_channels_last

nn = torch.nn
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm)


class FineTuning(lightning.LightningModule):
    """Trains a classifier's head and last blocks."""

    def __init__(
        self,
        classifier: Classifier,
        recipe: Recipe,
        preprocessing: Preprocessing | TextPreprocessing,
        steps: int,
    ) -> None:
        """Unfreeze what the recipe says; `steps` is the number of optimizer steps in all epochs."""
        super().__init__()
        in_channels_last(classifier.blocks)
        self.classifier = classifier
        self.recipe = recipe
        self.steps = max(steps, 1)
        self.first = classifier.unfreeze(recipe.unfrozen_blocks)
        # In a tuple, so that it is neither trained nor saved.
        self._frozen = (frozen_copy(nn.Sequential(*list(classifier.blocks)[: self.first])),)
        classes = classifier.head.out_features
        self.train_loss = torchmetrics.MeanMetric()
        self.val_loss = math.nan  # of the last validation, at its best temperature
        self._val_logits: list[torch.Tensor] = []
        self._val_labels: list[torch.Tensor] = []
        self.val_accuracy = torchmetrics.classification.MulticlassAccuracy(classes, average="micro")
        self.views = views_of(preprocessing)
        self.train()  # Lightning takes a module's modes as they are and never calls this itself

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """`(n, size, size, 3)` uint8, or `(n, tokens)` int64, to logits `(n, classes)`."""
        return self.logits(self.views.to_input(batch))

    def logits(self, inputs: torch.Tensor) -> torch.Tensor:
        """The model's input to `(n, classes)`; no gradient enters the frozen blocks."""
        if inputs.dim() == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            maps = self._frozen[0](inputs)
        features = self.classifier.pool(self.classifier.blocks[self.first :](maps))
        return self.classifier.classify(features)

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
        inputs = self.views.augmented(examples, self.recipe, draw)
        if draw.rank > 0:  # dropout differs between processes; the shift keeps seeds apart
            torch.manual_seed(seed + (draw.rank << 52))
        return nn.functional.cross_entropy(
            self.logits(inputs), labels, label_smoothing=self.recipe.label_smoothing
        )

    @override
    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Collect logits and accuracy."""
        examples, labels = batch
        logits = self(examples)
        self._val_logits.append(logits.float().cpu())
        self._val_labels.append(labels.cpu())
        self.val_accuracy.update(logits, labels)

    def on_train_epoch_start(self) -> None:
        """Begin the epoch's mean anew."""
        self.train_loss.reset()

    def on_validation_epoch_start(self) -> None:
        """Begin the epoch's figures anew."""
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
        """AdamW with a one-cycle schedule; the head has a learning rate of its own."""
        head = list(self.classifier.head.parameters())
        blocks = [p for p in self.classifier.blocks.parameters() if p.requires_grad]
        rates = [self.recipe.head_learning_rate, self.recipe.learning_rate]
        groups = [
            {"params": parameters, "lr": rate}
            for parameters, rate in zip((head, blocks), rates, strict=True)
            if parameters
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=self.recipe.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate_share)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _rate_share(self, step: int) -> float:
        """Share of the peak learning rate: a linear rise, then a cosine down to 0."""
        warmup = self.recipe.warmup_share * self.steps
        if step < warmup:
            return (step + 1) / (warmup + 1)
        left = (step - warmup) / max(self.steps - warmup, 1)
        return 0.5 * (1 + float(np.cos(np.pi * min(left, 1.0))))


def set_head(
    classifier: Classifier, weight: NDArray[np.float32], bias: NDArray[np.float32]
) -> None:
    """Give a classifier a solved head: `(feature_dim, classes)` and `(classes,)`."""
    with torch.no_grad():
        classifier.head.weight.copy_(torch.from_numpy(weight.T))
        classifier.head.bias.copy_(torch.from_numpy(bias))
