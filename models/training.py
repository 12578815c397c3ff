"""Training a classifier: head, blocks, average; resumable after every epoch."""

import hashlib
import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import harmonic_mean
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models import zoo
from models.averaging import SHARES, Weights, interpolated
from models.calibration import calibrated_log_loss
from models.checkpoints import Candidate, EpochResult, Keeper, check_last, weights_of
from models.data import ExampleSet, PictureSet, TrainingData, batches
from models.draft import FEW_PER_CLASS, LinearHead, fit_head, refit
from models.fitting import example_sets, fine_tuner, quiet
from models.hardware import ONE_PROCESS, Hardware
from models.module import FineTuning, set_head
from models.recipe import Recipe
from models.torchlibs import lightning, torch
from models.view_bank import ViewBank

VIEWS: Final = "views"  # folder of the views that are kept


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What training hands over: `best_checkpoint` holds the weights of `best_epoch`."""

    best_checkpoint: Path
    best_epoch: int  # 0: the solved head, fine-tuning made nothing better
    val_accuracy: float  # 0..1
    val_loss: float
    held_out_logits: NDArray[np.float32]  # (m, classes) of validation pictures, never learned from
    tuned_share: float  # 0..1 of the weights, see `models.averaging`; the rest are stage 1's
    epochs: int  # finished, including those before a resume
    seconds: float  # of this call
    images_per_second: float  # over all epochs of this call, validation left out


def train(
    recipe: Recipe,
    data: TrainingData,
    weights: Path | None,
    checkpoint_dir: Path,
    *,
    resume_from: Path | None = None,
    on_epoch: Callable[[EpochResult], None] | None = None,
    on_checkpoint: Callable[[Path], None] | None = None,
    loggers: Sequence[Any] = (),
    budget_seconds: float | None = None,
    hardware: Hardware = ONE_PROCESS,
    heads: "Heads | None" = None,
) -> Trained:
    """Fine-tune and keep what has the least (calibrated) loss on the validation part.

    With pretrained weights that is the solved head's model, the last epoch's, or a mixture of the
    two; from scratch it is one of the epochs.

    After every epoch `checkpoint_dir/last.ckpt` is replaced as a whole and `on_checkpoint` called
    with it; given as `resume_from`, that one file continues with the next epoch. A callback's
    exception ends training. No epoch starts that would outlast `budget_seconds`.
    Without `weights` the whole network is trained from scratch.
    On more `hardware` than one device, stage 2 runs in processes of its own; the recipe's batch is
    that of all of them together, and a checkpoint continues on any number of them.
    `heads` keeps stage 1's result for further trainings on the same data and weights.
    Raises `InvalidRequest` for weights or a checkpoint that do not fit, and `RankFailed` (see
    `models.ranks`) when one of several processes ends before the training does.
    """
    started = time.monotonic()
    if weights is None:
        recipe = recipe.from_scratch()
    if resume_from is not None:
        check_last(resume_from)
    checkpoint_dir.mkdir(parents=True, exist_ok=True)
    keeper = Keeper(
        checkpoint_dir,
        recipe,
        budget_seconds=budget_seconds,
        on_epoch=on_epoch,
        on_checkpoint=on_checkpoint,
    )
    with quiet(), _removed(checkpoint_dir / VIEWS):
        lightning.seed_everything(recipe.seed, verbose=False)
        learn, check = example_sets(recipe, data, checkpoint_dir)
        module = _module(recipe, data, weights, learn)
        if recipe.solve_head and resume_from is None:
            _solve_head(module, learn, check, keeper, {} if heads is None else heads)
        if hardware.processes == 1:
            learn, check = banked(module, learn, check, checkpoint_dir / VIEWS)
            _fit(module, learn, check, keeper, loggers, resume_from)
        else:
            _fit_distributed(module, data, hardware, keeper, loggers, resume_from)
        chosen = _average(module, check, keeper) if keeper.first else keeper.best
        assert chosen is not None
        if keeper.first and _has_few(recipe, data):
            chosen = _pairs_tuned(module, learn, check, keeper, chosen)
    return _trained(keeper, chosen, time.monotonic() - started)


@contextmanager
def _removed(folder: Path) -> Iterator[None]:
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def join_training(
    recipe: Recipe,
    data: TrainingData,
    weights: Path | None,
    checkpoint_dir: Path,
    hardware: Hardware,
    *,
    resume_from: Path | None = None,
) -> None:
    """Lend this machine's devices to `train` on node 0, with the same arguments as there.

    Returns when stage 2 is over; only node 0 has the result.
    Raises `InvalidRequest` where node 0 trains something else, and `RankFailed`.
    """
    if weights is None:
        recipe = recipe.from_scratch()
    checkpoint_dir.mkdir(parents=True, exist_ok=True)
    keeper = Keeper(checkpoint_dir, recipe)
    with quiet():
        lightning.seed_everything(recipe.seed, verbose=False)
        learn, _ = example_sets(recipe, data, checkpoint_dir)
        module = _module(recipe, data, weights, learn)
        _fit_distributed(module, data, hardware, keeper, (), resume_from)


def _fit(
    module: FineTuning,
    learn: ExampleSet,
    check: ExampleSet,
    keeper: Keeper,
    loggers: Sequence[Any],
    resume_from: Path | None,
) -> None:
    recipe = keeper.recipe
    try:
        fine_tuner(recipe, keeper, loggers, devices=1).fit(
            module,
            batches(learn, recipe.batch_size, recipe.seed, shuffle=True),
            batches(check, recipe.batch_size),
            ckpt_path=resume_from,
            weights_only=True,
        )
    except lightning.utilities.exceptions.SIGTERMException as stop:
        # Lightning's exception leaves with status 0, which would pass for success.
        raise SystemExit(128 + signal.SIGTERM) from stop


def _fit_distributed(
    module: FineTuning,
    data: TrainingData,
    hardware: Hardware,
    keeper: Keeper,
    loggers: Sequence[Any],
    resume_from: Path | None,
) -> None:
    from models import distributed, rank_request  # not needed by one process

    left = keeper.seconds_left()
    request = rank_request.RankRequest(
        recipe=keeper.recipe,
        data=data,
        hardware=hardware,
        checkpoint_dir=keeper.folder,
        resume_from=resume_from,
        deadline=None if left is None else time.time() + left,
    )
    distributed.fit(request, module, keeper, loggers)


def banked(
    module: FineTuning, learn: ExampleSet, check: ExampleSet, folder: Path
) -> tuple[ExampleSet, ExampleSet]:
    """Let pictures pass the frozen blocks once instead of once per epoch, where that helps.

    Only in one process: several would each need all views, as they share every batch anew.
    """
    views = module.recipe.kept_views
    if views == 0 or module.first == 0 or len(module.stages) > 1:
        return learn, check
    if not isinstance(learn, PictureSet) or not isinstance(check, PictureSet):
        return learn, check
    # Named by the recipe: what another training was killed over must not be taken for this one's.
    identity = json.dumps(module.recipe.as_dict(), sort_keys=True)
    folder = folder / hashlib.sha256(identity.encode()).hexdigest()[:16]
    bank = ViewBank(learn, module.frozen_view, folder / "learn", views)
    if not bank.is_worthwhile:
        return learn, check
    return bank, ViewBank(check, module.frozen_plain, folder / "check", 1)


def _module(
    recipe: Recipe, data: TrainingData, weights: Path | None, learn: ExampleSet
) -> FineTuning:
    classifier = zoo.build(recipe.backbone, len(data.classes), weights, recipe.dropout)
    preprocessing = zoo.backbone_named(recipe.backbone).preprocessing
    return FineTuning(classifier, recipe, preprocessing, learn.labels)


@dataclass(frozen=True, slots=True, eq=False)
class _Solved:
    """A head solved on the blocks as they are, and its answers on the validation part."""

    head: LinearHead  # has not learned from the validation part
    whole_head: Weights  # has
    logits: NDArray[np.float32]  # (m, classes)
    val_loss: float
    val_accuracy: float


Heads = dict[tuple[str, bool], _Solved]  # by backbone, and whether classes are weighted


def _solved(module: FineTuning, learn: ExampleSet, check: ExampleSet) -> _Solved:
    features = np.concatenate([embed(module, part) for part in (learn, check)])
    labels = torch.cat([learn.labels, check.labels]).numpy()
    is_validation = np.arange(len(labels)) >= len(learn)
    classes = module.classifier.head.out_features
    balanced = module.recipe.class_weights
    head = fit_head(
        features, labels, is_validation, classes, learn_validation=False, is_balanced=balanced
    )
    weight, bias = refit(features, labels, classes, head.c_regularisation, is_balanced=balanced)
    logits, truth = features[is_validation] @ head.weight + head.bias, check.labels.numpy()
    return _Solved(
        head,
        {"head.weight": torch.from_numpy(weight.T.copy()), "head.bias": torch.from_numpy(bias)},
        logits,
        calibrated_log_loss(logits, truth),
        float((logits.argmax(1) == truth).mean()),
    )


def _solve_head(
    module: FineTuning, learn: ExampleSet, check: ExampleSet, keeper: Keeper, heads: "Heads"
) -> None:
    """Stage 1: fit the head on frozen features before stage 2 may bend them.

    A random head would send noise through the pretrained blocks (Kumar et al. 2022). It is a convex
    problem, so it is solved rather than trained.
    """
    started, key = time.monotonic(), (keeper.recipe.backbone, keeper.recipe.class_weights)
    if key not in heads:
        heads[key] = _solved(module, learn, check)
    found = heads[key]
    keeper.whole_head = found.whole_head
    set_head(module.classifier, found.head.weight, found.head.bias)
    solved = EpochResult(
        epoch=0,
        epochs=keeper.recipe.epochs,
        train_loss=None,
        val_loss=found.val_loss,
        val_accuracy=found.val_accuracy,
        seconds=time.monotonic() - started,
        images_per_second=0.0,
        tuned_share=0.0,
    )
    keeper.record(solved, module, torch.from_numpy(found.logits))
    if keeper.on_epoch:
        keeper.on_epoch(solved)


def _has_few(recipe: Recipe, data: TrainingData) -> bool:
    """Whether there is so little text that pairs teach more than single examples."""
    if data.tokenizer is None or recipe.contrastive_steps == 0:
        return False
    counts = np.bincount(data.train_labels, minlength=len(data.classes))
    return bool(counts.min() < FEW_PER_CLASS)


def _pairs_tuned(
    module: FineTuning, learn: ExampleSet, check: ExampleSet, keeper: Keeper, chosen: Candidate
) -> Candidate:
    """With few examples: tune on pairs from the pretrained weights, solve a head, compare."""
    from models.contrastive import tune_pairs  # not needed by most trainings

    assert keeper.first is not None
    started, left = time.monotonic(), keeper.seconds_left()
    if left is not None and left <= 0:
        return chosen
    module.classifier.load_state_dict(keeper.first.weights)
    tune_pairs(module.classifier, learn, keeper.recipe, left)
    found = _solved(module, learn, check)
    result = replace(
        chosen.result,
        epoch=keeper.epochs + 1,
        epochs=keeper.epochs + 1,
        train_loss=None,
        val_loss=found.val_loss,
        val_accuracy=found.val_accuracy,
        seconds=time.monotonic() - started,
        tuned_share=1.0,
    )
    if keeper.on_epoch:
        keeper.on_epoch(result)
    if not result.is_better_than(chosen.result):
        return chosen
    # Tuning once more with the validation part, too, gave no more (TREC, 8 per class).
    weights = weights_of(module) | found.whole_head
    return Candidate(result, weights, torch.from_numpy(found.logits))


def _average(module: FineTuning, check: ExampleSet, keeper: Keeper) -> Candidate:
    """Stage 3: choose between stage 1's model, the last epoch and mixtures of the two.

    The epochs between do not count: the learning rate is high there, and the best of several noisy
    results is mostly luck. The chosen one's share of stage 1's head comes from the head that has
    learned from the validation part, too, as the draft's has; its figures are those without.
    """
    assert keeper.first is not None
    assert keeper.last is not None
    first, tuned = keeper.first, replace(keeper.last, weights=weights_of(module))
    if keeper.epochs == 0:
        candidates = [first]
    else:
        mixtures = [_mixture(module, check, first, tuned, share) for share in SHARES]
        candidates = [first, *mixtures, tuned]
    best = min(candidates, key=lambda candidate: candidate.result.val_loss)
    start = first.weights | keeper.whole_head
    return replace(best, weights=interpolated(start, tuned.weights, best.result.tuned_share))


def _mixture(
    module: FineTuning, check: ExampleSet, first: Candidate, tuned: Candidate, share: float
) -> Candidate:
    started = time.monotonic()
    weights = interpolated(first.weights, tuned.weights, share)
    module.classifier.load_state_dict(weights)
    trainer = lightning.Trainer(
        logger=False, enable_progress_bar=False, enable_model_summary=False, devices=1
    )
    trainer.validate(module, batches(check, module.recipe.batch_size), verbose=False)
    result = replace(
        tuned.result,
        val_loss=module.val_loss,
        val_accuracy=float(module.val_accuracy.compute()),
        seconds=time.monotonic() - started,
        tuned_share=share,
    )
    return Candidate(result, weights, module.val_logits)


def embed(module: FineTuning, examples: ExampleSet) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """Features of unaugmented examples, `(n, feature_dim)`."""
    blocks, classifier = zoo.frozen_copy(module.classifier.blocks), module.classifier
    with torch.inference_mode():
        rows = [
            classifier.pool(blocks(module.views.to_input(batch))).numpy()
            for batch, _ in batches(examples, 32)
        ]
    return np.concatenate(rows)


def _trained(keeper: Keeper, chosen: Candidate, seconds: float) -> Trained:
    return Trained(
        best_checkpoint=keeper.write_best(chosen.weights),
        best_epoch=chosen.result.epoch,
        tuned_share=chosen.result.tuned_share,
        val_accuracy=chosen.result.val_accuracy,
        val_loss=chosen.result.val_loss,
        held_out_logits=chosen.logits.numpy(),
        epochs=keeper.epochs,
        seconds=seconds,
        images_per_second=harmonic_mean(keeper.speeds) if keeper.speeds else 0.0,
    )
