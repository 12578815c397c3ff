"""What training leaves on disk: the last epoch to go on from, and the best one to use."""

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from typing_extensions import override

from contracts.errors import InvalidRequest
from models import zoo
from models.averaging import Weights
from models.module import FineTuning
from models.recipe import Recipe
from models.torchlibs import lightning, torch

LAST_CHECKPOINT: Final = "last.ckpt"
BEST_CHECKPOINT: Final = "best.pt"
_CANDIDATES: Final = ("best", "first", "last")  # of a keeper, and in its checkpoint


@dataclass(frozen=True, slots=True)
class EpochResult:
    """Figures of one finished epoch; epoch 0 is the solved head on frozen features."""

    epoch: int
    epochs: int  # planned, without epoch 0
    train_loss: float | None  # mean, with augmentation and label smoothing
    val_loss: float  # log loss at the best temperature
    val_accuracy: float  # 0..1
    seconds: float
    images_per_second: float  # training pictures; 0 where none were trained on
    tuned_share: float = 1.0  # 0..1 of the weights, the rest are those of epoch 0

    def is_better_than(self, other: "EpochResult") -> bool:
        """Compare losses: on a small validation part accuracy is mostly luck."""
        return self.val_loss < other.val_loss


@dataclass(frozen=True, slots=True)
class Candidate:
    """A state of the classifier that may become the model."""

    result: EpochResult
    weights: Weights
    logits: torch.Tensor  # (m, classes) float32, of the validation part in its order

    def packed(self) -> dict[str, Any]:
        """Plain values and tensors, for a checkpoint that loads with `weights_only`."""
        return {"result": asdict(self.result), "weights": self.weights, "logits": self.logits}

    @classmethod
    def unpacked(cls, values: dict[str, Any]) -> Self:
        """Undo `packed`."""
        return cls(EpochResult(**values["result"]), values["weights"], values["logits"])


class Keeper(lightning.Callback):
    """Keeps the last and the best epoch and ends training when nothing improves any more.

    The last checkpoint holds the best weights, too: resuming needs that one file.
    """

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        *,
        budget_seconds: float | None = None,
        on_epoch: Callable[[EpochResult], None] | None = None,
        on_checkpoint: Callable[[Path], None] | None = None,
    ) -> None:
        """Write into `folder`; callbacks run after the files are complete."""
        super().__init__()
        self.folder, self.recipe = folder, recipe
        self.on_epoch, self.on_checkpoint = on_epoch, on_checkpoint
        self.best: Candidate | None = None
        self.first: Candidate | None = None  # epoch 0, the solved head on frozen features
        self.last: Candidate | None = None
        self.whole_head: Weights = {}  # of stage 1, solved on the validation part, too
        self.speeds: list[float] = []  # training pictures per second, of each epoch run here
        self._deadline = None if budget_seconds is None else time.monotonic() + budget_seconds
        self._epoch_started = self._training_ended = 0.0

    @property
    def epochs(self) -> int:
        """How many epochs of training are finished."""
        return self.last.result.epoch if self.last else 0

    def record(self, result: EpochResult, module: FineTuning, logits: torch.Tensor) -> Candidate:
        """Take note of a finished epoch and write `best.pt` if it is the best."""
        candidate = Candidate(result, weights_of(module), logits)
        if self.best is None or result.is_better_than(self.best.result):
            self.best = candidate
            self.write_best(candidate.weights)
        if result.epoch == 0:
            self.first = candidate
        self.last = candidate
        return candidate

    def write_best(self, weights: Weights) -> Path:
        """Write `best.pt`: plain tensors and numbers, loadable with `weights_only`."""
        target = self.folder / BEST_CHECKPOINT
        content = {
            "recipe": self.recipe.as_dict(),
            "classes": len(weights["head.bias"]),
            "weights": weights,
        }
        # Several processes write the same when they resume together.
        part = target.with_suffix(f".{os.getpid()}.part")
        torch.save(content, part)
        part.replace(target)
        return target

    @override
    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Start the clock."""
        self._epoch_started = time.monotonic()

    @override
    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Training of this epoch is over; speed is counted without validation."""
        self._training_ended = time.monotonic()

    @override
    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Write the checkpoints, then tell the caller, then decide whether to go on."""
        result = self._result(trainer, pl_module)
        self.speeds.append(result.images_per_second)
        target = self.folder / LAST_CHECKPOINT
        part = target.with_suffix(".part")
        if trainer.is_global_zero:
            self.record(result, pl_module, pl_module.val_logits)
        trainer.save_checkpoint(part)  # all processes take part, the first one writes
        if trainer.is_global_zero:
            part.replace(target)
            self._tell(result, target)
        # One process decides for all: their clocks differ, and one going on alone would wait.
        stop = trainer.is_global_zero and self._should_stop(result)
        trainer.should_stop = trainer.strategy.broadcast(stop)

    def _tell(self, result: EpochResult, checkpoint: Path) -> None:
        if self.on_checkpoint:
            self.on_checkpoint(checkpoint)
        if self.on_epoch:
            self.on_epoch(result)

    def seconds_left(self) -> float | None:
        """Time until the budget is spent, may be negative; None without a budget."""
        return None if self._deadline is None else self._deadline - time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """Travel inside the last checkpoint."""
        candidates = {name: getattr(self, name) for name in _CANDIDATES}
        return {
            "recipe": self.recipe.as_dict(),
            "candidates": {name: found.packed() for name, found in candidates.items() if found},
            "whole_head": self.whole_head,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Come back out of it. Raises `InvalidRequest` for another recipe's checkpoint."""
        if state_dict["recipe"] != self.recipe.as_dict():
            raise InvalidRequest(
                f"the checkpoint belongs to another recipe ({state_dict['recipe']})",
                fix="resume with the same recipe, or start anew in another folder",
            )
        for name, values in state_dict["candidates"].items():
            setattr(self, name, Candidate.unpacked(values))
        self.whole_head = state_dict["whole_head"]
        assert self.best is not None
        self.write_best(self.best.weights)

    def _result(self, trainer: Any, module: FineTuning) -> EpochResult:
        now = time.monotonic()
        pictures = len(trainer.train_dataloader.dataset)
        return EpochResult(
            epoch=module.current_epoch + 1,
            epochs=self.recipe.epochs,
            train_loss=float(module.train_loss.compute()),
            val_loss=module.val_loss,
            val_accuracy=float(module.val_accuracy.compute()),
            seconds=now - self._epoch_started,
            images_per_second=pictures / max(self._training_ended - self._epoch_started, 1e-9),
        )

    def _should_stop(self, result: EpochResult) -> bool:
        return self._is_out_of_patience(result) or self._is_out_of_time(result)

    def _is_out_of_patience(self, result: EpochResult) -> bool:
        assert self.best is not None
        return result.epoch - self.best.result.epoch >= self.recipe.patience

    def _is_out_of_time(self, result: EpochResult) -> bool:
        left = self.seconds_left()
        return left is not None and result.seconds > left


def weights_of(module: FineTuning) -> Weights:
    """Copy a classifier's weights to memory that training does not touch."""
    state = module.classifier.state_dict()
    return {name: value.detach().cpu().clone() for name, value in state.items()}


def check_last(path: Path) -> None:
    """Raise `InvalidRequest` unless `path` is a whole checkpoint of `Keeper`."""
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        if not any(name.startswith("Keeper") for name in saved["callbacks"]):
            raise KeyError("Keeper")
    except Exception as error:  # torch.load raises almost anything on a broken file
        raise InvalidRequest(
            f"{path.name} is no checkpoint to resume from: {str(error)[:200]}",
            fix=f"give a {LAST_CHECKPOINT} that training wrote, or start anew",
        ) from error


def restore(path: Path, module: FineTuning, keeper: Keeper) -> None:
    """Give both the state of a checkpoint of `Keeper`. Raises `InvalidRequest` as that does."""
    saved = torch.load(path, map_location="cpu", weights_only=True)
    keeper.load_state_dict(saved["callbacks"][keeper.state_key])
    module.load_state_dict(saved["state_dict"])


def load_best(path: Path) -> tuple[zoo.Classifier, Recipe]:
    """Rebuild the classifier of a `best.pt` in evaluation mode. Raises `InvalidRequest`."""
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        recipe = Recipe.from_dict(saved["recipe"])
        classifier = zoo.build(recipe.backbone, saved["classes"])
        classifier.load_state_dict(saved["weights"])
    except Exception as error:  # as above
        raise InvalidRequest(
            f"{path.name} holds no trained model: {str(error)[:200]}",
            fix=f"give the {BEST_CHECKPOINT} that training wrote",
        ) from error
    return classifier.eval(), recipe
