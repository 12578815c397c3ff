"""One process of a training on several devices: `python -m models.rank FOLDER FD`.

`models.ranks` starts it with torchrun's variables, holds its standard input open for as long as it
may live, and gives the first process a connection to tell of epochs, checkpoints and metrics.
"""

import json
import os
import signal
import sys
import threading
import time
from dataclasses import asdict
from functools import cached_property
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from typing_extensions import override

from models import zoo
from models.checkpoints import EpochResult, Keeper
from models.fitting import example_sets, fine_tuner, quiet
from models.rank_request import RankRequest
from models.sharding import Shard, ShardBatches, ShardedFineTuning, shard_loaders
from models.torchlibs import lightning


class Parent:
    """The process that asked for the training; every event waits until it has been dealt with."""

    def __init__(self, descriptor: int) -> None:
        """Speak over the connection that the first process inherits as `descriptor`."""
        self._descriptor = descriptor

    @cached_property
    def _connection(self) -> Connection:
        return Connection(self._descriptor)

    def tell(self, event: str, value: Any = None) -> None:
        """Return when the parent's callback has. Raises `EOFError` when the parent is gone."""
        self._connection.send_bytes(json.dumps([event, value]).encode())
        self._connection.recv_bytes()

    def on_epoch(self, result: EpochResult) -> None:
        """Tell of a finished epoch."""
        self.tell("epoch", asdict(result))

    def on_checkpoint(self, path: Path) -> None:
        """Tell of a checkpoint, which stays as it is until the parent has used it."""
        self.tell("checkpoint", str(path))


class Saving(lightning.Callback):
    """Announces that an epoch is about to be saved: whoever stops training waits for that."""

    def __init__(self, parent: Parent) -> None:
        """Announce it to `parent`."""
        super().__init__()
        self._parent = parent

    @override
    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Come before the keeper's method of this name."""
        if trainer.is_global_zero:
            self._parent.tell("saving")


class Relay(lightning.loggers.Logger):
    """Hands metrics to the parent, whose loggers may hold connections and credentials."""

    def __init__(self, parent: Parent) -> None:
        """Hand them to `parent`; only the first process ever does."""
        super().__init__()
        self._parent = parent

    name, version = "relay", 0

    @override
    @lightning.utilities.rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Log what the first process measured, which is the same on all."""
        self._parent.tell("metrics", [metrics, step])

    @override
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """The module saves none."""


def run(request: RankRequest, parent: Parent) -> None:
    """Take part in stage 2 from its first to its last step."""
    recipe, hardware = request.recipe, request.hardware
    lightning.seed_everything(recipe.seed, verbose=False)
    learn, check = example_sets(recipe, request.data, request.checkpoint_dir)
    shard = Shard(int(os.environ["RANK"]), hardware.processes)
    train_batches, check_batches = shard_loaders(learn, check, recipe, shard)
    start = request.start()
    keeper = _keeper(request, parent, start["keeper"])
    classifier = zoo.build(recipe.backbone, len(request.data.classes), dropout=recipe.dropout)
    classifier.load_state_dict(start["classifier"])
    dealt = train_batches.sampler
    assert isinstance(dealt, ShardBatches)
    preprocessing = zoo.backbone_named(recipe.backbone).preprocessing
    trainer = fine_tuner(
        recipe,
        keeper,
        [Relay(parent)],
        accelerator=hardware.accelerator,
        devices=hardware.devices,
        num_nodes=hardware.nodes,
        # Every process holds the whole model; while only some of its blocks learn, others wait.
        strategy="ddp" if recipe.unfreezing_stages == 1 else "ddp_find_unused_parameters_true",
        use_distributed_sampler=False,
        # Batch norm's statistics are then the whole batch's; torch can do that on GPUs only.
        sync_batchnorm=hardware.accelerator == "gpu",
    )
    trainer.callbacks.insert(0, Saving(parent))
    trainer.fit(
        ShardedFineTuning(classifier, recipe, preprocessing, dealt, learn.labels, check.labels),
        train_batches,
        check_batches,
        ckpt_path=request.resume_from,
        weights_only=True,
    )


def _keeper(request: RankRequest, parent: Parent, state: dict[str, Any]) -> Keeper:
    left = None if request.deadline is None else request.deadline - time.time()
    keeper = Keeper(
        request.checkpoint_dir,
        request.recipe,
        budget_seconds=left,
        on_epoch=parent.on_epoch,
        on_checkpoint=parent.on_checkpoint,
    )
    if state["candidates"]:
        keeper.load_state_dict(state)
    return keeper


def _end_with_parent() -> None:
    """Exit as soon as the parent is gone, however it ended: it holds our standard input open."""
    # Not sys.stdin, whose lock a thread that waits in it would take into the interpreter's end.
    threading.Thread(target=lambda: os.read(0, 1) or os._exit(1), daemon=True).start()


if __name__ == "__main__":
    # The parent ends its processes itself. Lightning answers SIGTERM with a broadcast out of the
    # signal handler, which would get between those of the training step.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    _end_with_parent()
    with quiet():
        run(RankRequest.read(Path(sys.argv[1])), Parent(int(sys.argv[2])))
    # All is written and told. A process was once seen to abort; the interpreter's own end, which
    # takes gloo's threads down, is suspected, and a training that is done would count as failed.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
