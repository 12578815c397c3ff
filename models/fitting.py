"""Stage 2's Lightning trainer and its surroundings, the same for one process and for several."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contracts.bundle import Preprocessing
from contracts.errors import InvalidRequest
from models import zoo
from models.checkpoints import Keeper
from models.data import ExampleSet, PictureSet, TrainingData, decoded, tokenised
from models.recipe import Recipe
from models.torchlibs import lightning
from serving.readers import Source


def example_sets(recipe: Recipe, data: TrainingData, folder: Path) -> tuple[ExampleSet, ExampleSet]:
    """Return the training and the validation part; pictures are decoded into `folder` once."""
    learn = _example_set(recipe, data, data.train_sources, data.train_labels, folder)
    check = _example_set(recipe, data, data.validation_sources, data.validation_labels, folder)
    return learn, check


def _example_set(
    recipe: Recipe,
    data: TrainingData,
    sources: Sequence[Source],
    labels: Sequence[int],
    folder: Path,
) -> ExampleSet:
    preprocessing = zoo.backbone_named(recipe.backbone).preprocessing
    if isinstance(preprocessing, Preprocessing):
        files = [source for source in sources if isinstance(source, Path)]
        return PictureSet(decoded(files, preprocessing, folder / "pixels"), labels)
    texts = [source for source in sources if isinstance(source, str)]
    if data.tokenizer is None:
        raise InvalidRequest("texts need a tokenizer", fix="give the encoder's")
    return tokenised(texts, labels, data.tokenizer, preprocessing)


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
