"""What a waiting person sees: live bars on a terminal, one line per change elsewhere."""

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.filesize import decimal as file_size
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from contracts.status import Stage
from deployments.printable import printable
from deployments.remote_job import RemoteJob
from deployments.transfer import TransferProgress

_PLAIN_STEPS = 4  # lines per transfer where there is no terminal


class Reporter(Protocol):
    """Told of everything that moves; used as a context manager around the work."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def on_transfer(self, progress: TransferProgress) -> None:
        """Reading or sending went on."""

    def on_job(self, job: RemoteJob) -> None:
        """The job changed."""


def reporter_for(console: Console) -> Reporter:
    """Live on a terminal, plain lines in a pipe or a log."""
    return LiveReporter(console) if console.is_terminal else PlainReporter(console)


class Narrator:
    """Turns successive states of a job into the lines that are new."""

    def __init__(self) -> None:
        self._epochs_told = 0
        self._endpoint = ""
        self._expected = ""

    def lines(self, job: RemoteJob) -> Iterator[str]:
        """What is expected, epochs and the endpoint, as far as they were not told yet."""
        expected = estimate_line(job.estimate)
        if expected != self._expected and not job.state.is_final:
            self._expected = expected
            yield expected
        epochs = list(job.metrics.get("epochs") or [])
        for epoch in epochs[self._epochs_told :]:
            yield epoch_line(epoch)
        self._epochs_told = max(self._epochs_told, len(epochs))
        if job.endpoint and job.endpoint != self._endpoint:
            self._endpoint = job.endpoint
            if not job.state.is_final:
                yield _draft_line(job)


def estimate_line(estimate: dict[str, Any]) -> str:
    """Such as `training takes about 2 min, $0.01 on g4dn.xlarge spot (as 4 earlier trainings)`."""
    if not estimate:
        return ""
    line = f"training takes about {duration(estimate['seconds'])}"
    if (dollars := estimate.get("dollars")) is not None:
        line += f", {money(dollars)} on {estimate['machine']}"
    return f"{line} (judged by {estimate['basis']})"


def duration(seconds: float) -> str:
    """Such as `40 s`, `12 min` or `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def money(dollars: float) -> str:
    """Such as `$1.20`, or `less than 1 cent`."""
    return f"${dollars:.2f}" if dollars >= 0.01 else "less than 1 cent"


def epoch_line(epoch: dict[str, Any]) -> str:
    """One epoch's figures; whatever a recipe does not report is left out."""
    parts = [f"epoch {epoch.get('epoch', '?')}"]
    if epoch.get("stage"):
        parts.append(str(epoch["stage"]))
    if (loss := epoch.get("train_loss")) is not None:
        parts.append(f"loss {loss:.3f}")
    if (accuracy := epoch.get("val_accuracy")) is not None:
        parts.append(f"validation accuracy {accuracy:.1%}")
    if (seconds := epoch.get("seconds")) is not None:
        parts.append(f"{seconds:.1f} s")
    return "  ".join(parts)


def _draft_line(job: RemoteJob) -> str:
    after = f" after {job.draft_seconds:.0f} s" if job.draft_seconds else ""
    return f"an endpoint answers already{after}: {job.endpoint}"


def transfer_line(progress: TransferProgress, seconds: float) -> str:
    """Files, bytes and rate, such as `1,680/1,680 files  21.4 MB  9.1 MB/s`."""
    parts = [
        f"{progress.files_done:,}/{progress.files_total:,} files",
        file_size(progress.bytes_done),
    ]
    if seconds > 0:
        parts.append(f"{file_size(int(progress.bytes_done / seconds))}/s")
    if progress.files_kept:
        parts.append(f"{progress.files_kept:,} were stored already")
    return "  ".join(parts)


class PlainReporter:
    """One line per change; a transfer gets a few."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._narrator = Narrator()
        self._told: tuple[str, ...] = ()
        self._phase_began: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def on_transfer(self, progress: TransferProgress) -> None:
        """Say how far it is at each quarter."""
        began = self._phase_began.setdefault(progress.phase, time.monotonic())
        quarter = progress.files_done * _PLAIN_STEPS // max(progress.files_total, 1)
        if quarter:
            line = transfer_line(progress, time.monotonic() - began)
            self._tell((progress.phase, str(quarter)), f"{_VERBS[progress.phase]}  {line}")

    def on_job(self, job: RemoteJob) -> None:
        """Say what is new."""
        stage, message = printable(job.stage), printable(job.message)
        self._tell((stage, message), f"{job.progress:4.0%}  {stage}  {message}".rstrip())
        for line in self._narrator.lines(job):
            self._print(line)

    def _tell(self, what: tuple[str, ...], line: str) -> None:
        if what != self._told:
            self._told = what
            self._print(line)

    def _print(self, line: str) -> None:
        self._console.print(Text(printable(line)), soft_wrap=True)


class LiveReporter:
    """A bar for reading, one for sending and one for the job, with the news above them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._narrator = Narrator()
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, float] = {}
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def on_transfer(self, progress: TransferProgress) -> None:
        """Move the bar of this phase."""
        began = self._began.setdefault(progress.phase, time.monotonic())
        note = transfer_line(progress, time.monotonic() - began)
        share = progress.files_done / max(progress.files_total, 1)
        if progress.bytes_total:
            share = progress.bytes_done / progress.bytes_total
        self._show(progress.phase, _VERBS[progress.phase], share, note)

    def on_job(self, job: RemoteJob) -> None:
        """Move the job's bar and print what is worth keeping."""
        self._show("job", printable(job.stage), job.progress, printable(job.message))
        for line in self._narrator.lines(job):
            self._console.print(Text(printable(line)), soft_wrap=True)

    def _show(self, key: str, description: str, share: float, note: str) -> None:
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(description, total=1.0, note=note)
        self._progress.update(
            self._tasks[key], description=f"{description:<{_WIDTH}}", completed=share, note=note
        )


_VERBS = {"read": "reading", "send": "sending"}
_WIDTH = max(len(stage) for stage in Stage)
