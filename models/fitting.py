"""Stage 2's Lightning trainer and its surroundings, the same for one process and for several."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models import zoo
from models.checkpoints import Keeper
from models.data import PictureSet, TrainingData, decoded
from models.recipe import Recipe
from models.torchlibs import lightning


def picture_sets(recipe: Recipe, data: TrainingData, folder: Path) -> tuple[PictureSet, PictureSet]:
    """Return the training and the validation part, decoded into `folder` unless they are there."""
    preprocessing = zoo.backbone_named(recipe.backbone).preprocessing
    learn = decoded(data.train_paths, preprocessing, folder / "pixels")
    check = decoded(data.validation_paths, preprocessing, folder / "pixels")
    return PictureSet(learn, data.train_labels), PictureSet(check, data.validation_labels)


def fine_tuner(recipe: Recipe, keeper: Keeper, loggers: Sequence[Any], **placement: Any) -> Any:
    """Return a Lightning trainer; `placement` says on which devices (its own arguments)."""
    return lightning.Trainer(
        max_epochs=recipe.epochs,
        callbacks=[keeper],
        logger=list(loggers),
        default_root_dir=keeper.folder,
        enable_checkpointing=False,  # the keeper replaces files as a whole
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **placement,
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Lightning's hints, which suggest what is decided here on purpose."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", message=".*pytorch_lightning.*")
            yield
    finally:
        logger.setLevel(level)
