"""Stage 2 on several devices: what the process that asked for the training does meanwhile.

It starts one process per device and none of its own, takes part in no step, and runs the callbacks
and loggers, which keep state and connections here.
"""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any, Final

from models.checkpoints import EpochResult, Keeper, restore
from models.module import FineTuning
from models.rank_request import RankRequest
from models.ranks import Ranks
from models.rendezvous import Rendezvous

_POLL_SECONDS: Final = 0.1


def fit(
    request: RankRequest, module: FineTuning, keeper: Keeper, loggers: Sequence[Any] = ()
) -> None:
    """Train as `Trainer.fit` would here; `module` and `keeper` then are as if it had.

    On a node other than the first they stay as they were: it only lends its devices.
    Raises `RankFailed`, a callback's exception, and on SIGTERM `SystemExit` once an epoch that is
    being saved has been announced; no process is left in any of these cases.
    """
    if request.resume_from is not None:
        restore(request.resume_from, module, keeper)
    request.write(module, keeper)
    inbox = Inbox(keeper, loggers)
    try:
        with (
            Rendezvous(request) as rendezvous,
            Ranks(request.hardware, request.folder, rendezvous.port) as ranks,
        ):
            _watch(ranks, rendezvous, inbox)
    except BaseException:
        _finalize(loggers, "failed")
        raise
    _finalize(loggers, "success")
    if inbox.checkpoint is not None:
        restore(inbox.checkpoint, module, keeper)


class Inbox:
    """Deals with what the first process tells, one event at a time."""

    def __init__(self, keeper: Keeper, loggers: Sequence[Any]) -> None:
        """Hand epochs and checkpoints to `keeper`'s callbacks, metrics to `loggers`."""
        self._keeper, self._loggers = keeper, loggers
        self.is_saving = False  # an epoch is finished, but not yet announced
        self.checkpoint: Path | None = None  # the last that was announced
        self._handlers: dict[str, Callable[[Any], None]] = {
            "saving": self._on_saving,
            "checkpoint": self._on_checkpoint,
            "epoch": self._on_epoch,
            "metrics": self._on_metrics,
        }

    def take(self, connection: Connection) -> None:
        """Wait a moment for an event and answer it when it has been dealt with."""
        try:
            if not connection.poll(_POLL_SECONDS):
                return
            event, value = json.loads(connection.recv_bytes())
        except (EOFError, ConnectionError):
            time.sleep(_POLL_SECONDS)  # the process has ended, which is seen by its status
            return
        self._handlers[event](value)
        with suppress(ConnectionError):
            connection.send_bytes(b"done")

    def _on_saving(self, _: None) -> None:
        self.is_saving = True

    def _on_checkpoint(self, path: str) -> None:
        self.checkpoint = Path(path)
        if self._keeper.on_checkpoint:
            self._keeper.on_checkpoint(self.checkpoint)

    def _on_epoch(self, values: dict[str, Any]) -> None:
        result = EpochResult(**values)
        self._keeper.speeds.append(result.images_per_second)
        if self._keeper.on_epoch:
            self._keeper.on_epoch(result)
        self.is_saving = False

    def _on_metrics(self, values: tuple[dict[str, float], int | None]) -> None:
        metrics, step = values
        for logger in self._loggers:
            logger.log_metrics(metrics, step)
            logger.save()


def _watch(ranks: Ranks, rendezvous: Rendezvous, inbox: Inbox) -> None:
    with _sigterm_noticed() as asked_to_stop:
        while not ranks.are_done():
            inbox.take(ranks.first)
            if asked_to_stop.is_set() and not inbox.is_saving:
                raise SystemExit(128 + signal.SIGTERM)
            if rendezvous.is_over():
                ranks.wait()


@contextmanager
def _sigterm_noticed() -> Iterator[threading.Event]:
    """Give an event that SIGTERM sets, next to what SIGTERM did before (as Lightning does)."""
    noticed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield noticed  # only the main thread may set handlers, and the signal comes to that one
        return
    before = signal.getsignal(signal.SIGTERM)

    def notice(number: int, frame: FrameType | None) -> None:
        noticed.set()
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGTERM, notice)
    try:
        yield noticed
    finally:
        signal.signal(signal.SIGTERM, before)


def _finalize(loggers: Sequence[Any], status: str) -> None:
    for logger in loggers:
        logger.finalize(status)
