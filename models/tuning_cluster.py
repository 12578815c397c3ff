"""Trials side by side on a Ray cluster; the search itself stays in the calling process.

Every machine of the cluster has this package installed. What trials learn from is sent to them:
they need neither the pictures' files nor any access to storage.
"""

import logging
import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from contracts.errors import InvalidRequest
from models.data import TrainingData
from models.fitting import example_sets
from models.recipe import Recipe
from models.trials import Job, Report, TrialRunner
from models.tuning import Search

_KNOCK_SECONDS: Final = 5.0
LOCAL: Final = "local"  # a Ray of its own on this machine, for as long as the search takes
_POLL_SECONDS: Final = 0.2
_PIXELS: Final = "pixels"  # folder of decoded pictures, see `models.fitting`

try:
    import ray
except ImportError as error:
    raise InvalidRequest(
        "trials on a cluster need Ray, which is not installed",
        fix="pip install 'exemplar[cluster]', or leave EXEMPLAR_TUNING_CLUSTER empty",
    ) from error


@dataclass(frozen=True, slots=True, eq=False)
class Shipment:
    """All that trials need, by value; pictures come decoded, under the names of their files."""

    parts: tuple[TrainingData, ...]
    pixels: dict[str, bytes]
    weights: bytes | None
    tokenizer: bytes | None

    @classmethod
    def packed(
        cls, recipe: Recipe, parts: Sequence[TrainingData], weights: Path | None, folder: Path
    ) -> "Shipment":
        """Decode what is not decoded yet in `folder` and pack it."""
        for part in parts:
            example_sets(recipe, part, folder)
        tokenizer = parts[0].tokenizer
        return cls(
            tuple(parts),
            {path.name: path.read_bytes() for path in (folder / _PIXELS).glob("*.npy")},
            weights.read_bytes() if weights else None,
            tokenizer.read_bytes() if tokenizer else None,
        )

    def unpacked(self, folder: Path) -> TrialRunner:
        """Write it into an empty folder and return what runs trials there."""
        (folder / _PIXELS).mkdir()
        for name, pixels in self.pixels.items():
            (folder / _PIXELS / name).write_bytes(pixels)
        weights = _written(folder / "weights", self.weights)
        tokenizer = _written(folder / "tokenizer.json", self.tokenizer)
        parts = [replace(part, tokenizer=tokenizer) for part in self.parts]
        return TrialRunner(parts, weights, folder)


class _Mailbox:
    """Reports wait here for the search, and its answers for the trials."""

    def __init__(self) -> None:
        self._reports: list[tuple[int, Report]] = []
        self._given_up: set[int] = set()

    def report(self, number: int, report: Report) -> bool:
        """Leave a report; return whether the trial goes on, by what the search has said so far."""
        self._reports.append((number, report))
        return number not in self._given_up

    def give_up(self, number: int) -> None:
        """End a trial with its next report."""
        self._given_up.add(number)

    def taken(self) -> list[tuple[int, Report]]:
        """Return what has been reported since the last call."""
        reports, self._reports = self._reports, []
        return reports


class _Worker:
    """Runs one trial at a time on a machine of the cluster."""

    def __init__(self, shipment: Shipment, mailbox: Any) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="exemplar-trials-")
        self._runner = shipment.unpacked(Path(self._folder.name))
        self._mailbox = mailbox

    def run(self, job: Job) -> Any:
        """Return the trial's outcome."""
        return self._runner.run(
            job, lambda report: ray.get(self._mailbox.report.remote(job.number, report))
        )

    def close(self) -> None:
        """Remove what was sent."""
        self._folder.cleanup()


def run_on_cluster(
    search: Search,
    parts: Sequence[TrainingData],
    weights: Path | None,
    folder: Path,
    address: str,
) -> None:
    """Run a search's trials on all CPUs, or GPUs where there are any, of the Ray at `address`.

    That is `local`, `auto` (the Ray this machine belongs to), `host:port` or `ray://host:port`.
    A trial whose machine is lost is run again elsewhere. Raises `InvalidRequest` when nothing
    answers there, and what `Search` and the trials raise.
    """
    with _connected(address):
        _Pool(search, Shipment.packed(search.recipe, parts, weights, folder)).run()


def _knock(address: str) -> None:
    """Raise `OSError` at once where nothing listens: Ray itself goes on trying for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()


@contextmanager
def _connected(address: str) -> Iterator[None]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    where: dict[str, Any] = (
        {"include_dashboard": False} if address == LOCAL else {"address": address}
    )
    try:
        _knock(address)
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **where)
    except (OSError, ImportError, RuntimeError, ValueError) as error:
        raise InvalidRequest(
            f"no Ray cluster answers at {address!r}: {error}",
            fix="set EXEMPLAR_TUNING_CLUSTER to local, auto, HOST:PORT or ray://HOST:PORT",
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


class _Pool:
    """As many workers as the cluster has room for, each with a trial."""

    def __init__(self, search: Search, shipment: Shipment) -> None:
        found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        gpus = int(found.get("GPU", 0))
        # With one CPU a trial, PyTorch's threads of trials side by side do not fight for cores.
        slots = gpus or max(int(found.get("CPU", 1)), 1)
        self._search, self._needs = search, {"num_cpus": 1, "num_gpus": 1 if gpus else 0}
        self._shipment = ray.put(shipment)
        mailbox: Any = ray.remote(_Mailbox)
        self._mailbox = mailbox.options(num_cpus=0).remote()
        self._idle = [self._worker() for _ in range(min(slots, search.trials))]
        self._running: dict[Any, tuple[Job, Any]] = {}

    def _worker(self) -> Any:
        worker: Any = ray.remote(_Worker)
        return worker.options(**self._needs).remote(self._shipment, self._mailbox)

    def run(self) -> None:
        """Hand out trials until the search has no more and all have ended."""
        while True:
            while self._idle and (job := self._search.next()):
                worker = self._idle.pop()
                self._running[worker.run.remote(job)] = (job, worker)
            if not self._running:
                break
            ended, _ = ray.wait(list(self._running), timeout=_POLL_SECONDS)
            self._take_reports()
            for trial in ended:
                self._end(trial)
        ray.get([worker.close.remote() for worker in self._idle])

    def _take_reports(self) -> None:
        jobs = {job.number: job for job, _ in self._running.values()}
        for number, report in ray.get(self._mailbox.taken.remote()):
            # A report of a worker that was lost may come late.
            if number in jobs and not self._search.goes_on(jobs[number], report):
                self._mailbox.give_up.remote(number)

    def _end(self, trial: Any) -> None:
        job, worker = self._running.pop(trial)
        try:
            outcome = ray.get(trial)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except ray.exceptions.RayError:
            self._search.lost(job)
            self._idle.append(self._worker())
            return
        self._search.ended(job, outcome)
        self._idle.append(worker)


def _written(path: Path, content: bytes | None) -> Path | None:
    if content is None:
        return None
    path.write_bytes(content)
    return path
