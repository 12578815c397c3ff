"""Few-shot tuning of a sentence encoder: texts of one class come together, others move apart.

In the manner of SetFit (Tunstall et al. 2022, "Efficient few-shot learning without prompts"): the
cosine of every pair in a batch is pulled towards 1 or 0, then a head is solved on the features. The
setfit package itself needs an older transformers.
"""

from datetime import timedelta
from typing import Any

from typing_extensions import override

from models.data import Batch, ExampleSet, batches
from models.recipe import Recipe
from models.torchlibs import lightning, torch
from models.zoo import Classifier


class PairTuning(lightning.LightningModule):
    """Trains the blocks that the recipe unfreezes; the head takes no part."""

    def __init__(self, classifier: Classifier, recipe: Recipe) -> None:
        super().__init__()
        self.classifier, self.recipe = classifier, recipe
        classifier.unfreeze(recipe.unfrozen_blocks)
        classifier.head.requires_grad_(False)
        self.train()

    @override
    def training_step(self, batch: Batch, batch_index: int) -> torch.Tensor:
        """Mean squared error of the cosines of like pairs, plus that of unlike ones."""
        texts, labels = batch
        return pair_loss(self.classifier.embed(texts), labels)

    @override
    def configure_optimizers(self) -> Any:
        """AdamW; the rate rises over a tenth of the steps and falls to 0."""
        learning = [p for p in self.classifier.blocks.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(
            learning, lr=self.recipe.contrastive_rate, weight_decay=self.recipe.weight_decay
        )
        steps = self.recipe.contrastive_steps

        def share(step: int) -> float:
            return min(1.0, (step + 1) / max(0.1 * steps, 1.0)) * max(1 - step / steps, 0.0)

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def pair_loss(features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """`(n, dim)` of length 1 and `(n,)` to a scalar; 0 where a batch has no pair of a kind."""
    cosines = features @ features.T
    is_pair = ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    is_like = (labels[:, None] == labels[None, :]) & is_pair
    is_unlike = is_pair & ~is_like
    like = torch.where(is_like, (1 - cosines) ** 2, 0).sum() / is_like.sum().clamp(min=1)
    unlike = torch.where(is_unlike, cosines**2, 0).sum() / is_unlike.sum().clamp(min=1)
    return like + unlike


def tune_pairs(
    classifier: Classifier, learn: ExampleSet, recipe: Recipe, budget_seconds: float | None = None
) -> None:
    """Tune the classifier's blocks in place, on one device: it takes well under a minute."""
    trainer = lightning.Trainer(
        max_steps=recipe.contrastive_steps,
        max_time=None if budget_seconds is None else timedelta(seconds=budget_seconds),
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    lightning.seed_everything(recipe.seed, verbose=False)
    trainer.fit(
        PairTuning(classifier, recipe), batches(learn, recipe.batch_size, recipe.seed, shuffle=True)
    )
