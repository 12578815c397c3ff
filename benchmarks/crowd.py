"""Many users of one embedded stack at once, each training and asking their own endpoint.

python -m benchmarks.crowd --users 50 --minutes 10

Each uploads thirty handwritten digits of two classes, trains, watches the job, and asks its own
endpoint as soon as a draft is live, about twice a second. Everybody's project has the same name; an
answer with a class that is not the asker's own counts as a failure, as do all errors.
"""

import argparse
import hashlib
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits

from deployments.client import Exemplar
from deployments.local import embedded
from deployments.local.embedded import Links, LoopbackSession
from lambdas.state import State

PROJECT = "shapes"
PER_CLASS = 15
_PREDICT_PAUSE_SECONDS = 0.5
_POLL_PAUSE_SECONDS = 2.0
_MIB = 2**20


@dataclass
class Figures:
    """What all users saw; seconds by call, failures by reason."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: Counter[str] = field(default_factory=Counter)
    jobs: Counter[str] = field(default_factory=Counter)
    memory_mib: list[float] = field(default_factory=list)

    @contextmanager
    def timed(self, call: str) -> Iterator[None]:
        """Time one call; whatever it raises is counted and ends there."""
        started = time.perf_counter()
        try:
            yield
        except Exception as error:  # noqa: BLE001 - failures are what is being counted
            self.failures[f"{call}: {type(error).__name__}: {str(error)[:100]}"] += 1
        else:
            self.seconds[call].append(time.perf_counter() - started)


class MixedUp(Exception):
    """An endpoint answered with somebody else's classes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    figures, stop = Figures(), threading.Event()
    with tempfile.TemporaryDirectory(prefix="crowd-") as scratch:
        home = Path(scratch) / "home"
        links = embedded.up(home, lambda _: None)
        try:
            watch = threading.Thread(target=watch_memory, args=(home, figures, stop))
            watch.start()
            until = time.monotonic() + 60 * options.minutes
            clients = [client(links, f"user-{n}") for n in range(options.users)]
            with ThreadPoolExecutor(options.users) as pool:
                list(
                    pool.map(
                        lambda n: behave(clients[n], n, Path(scratch), until, figures),
                        range(options.users),
                    )
                )
            stop.set()
            watch.join()
        finally:
            stop.set()
            embedded.down(home)
    show(figures, options.users, options.minutes)


def client(links: Links, user: str) -> Exemplar:
    """A client of the stack as a user of their own."""
    session = LoopbackSession(links.url.split("/_aws/")[0])
    token = f"xt_{hashlib.sha256(user.encode()).hexdigest()}"
    State(session.client("dynamodb"), "exemplar-state").put_token(token, user, time.time() + 7_200)
    return Exemplar(links.url, token)


def behave(exemplar: Exemplar, number: int, scratch: Path, until: float, figures: Figures) -> None:
    """One user: train, ask while training, train again with another seed, until time is up."""
    labels = (number % 10, (number + 1 + number // 10) % 10)
    folder = digits(scratch / f"user-{number}", labels)
    own = {f"digit {label}" for label in labels}
    pictures = sorted(folder.glob("*/*.png"))
    key: str | None = None
    for seed in range(1_000):
        if time.monotonic() > until:
            return
        job = None
        with figures.timed("upload and train"):
            job = exemplar.submit(exemplar.read(folder), PROJECT, recipe="fast", seed=seed)
        if job is None:
            time.sleep(_POLL_PAUSE_SECONDS)
            continue
        with figures.timed("key"):
            key = exemplar.saved_key(PROJECT)
        state = ask_until_done(exemplar, job.job_id, pictures, own, key or "", until, figures)
        figures.jobs[state] += 1


def ask_until_done(
    exemplar: Exemplar,
    job_id: str,
    pictures: list[Path],
    own: set[str],
    key: str,
    until: float,
    figures: Figures,
) -> str:
    polled, endpoint, state, asked = 0.0, "", "unfinished", 0
    while time.monotonic() < until:
        if time.monotonic() - polled > _POLL_PAUSE_SECONDS:
            polled = time.monotonic()
            with figures.timed("job"):
                job = exemplar.job(PROJECT, job_id)
                state, endpoint = str(job.state), endpoint or job.endpoint
                if job.state == "failed":
                    figures.failures[f"job: {job.message[:100]}"] += 1
        if state in {"done", "failed", "cancelled"}:
            return state
        if endpoint:
            asked += 1
            with figures.timed("first prediction" if asked == 1 else "prediction"):
                found = exemplar.predict(PROJECT, pictures[asked % len(pictures)], key)
                if set(found["probabilities"]) != own:
                    raise MixedUp(found)
        time.sleep(_PREDICT_PAUSE_SECONDS)
    return "unfinished"


def digits(folder: Path, labels: tuple[int, int]) -> Path:
    """Pictures of scikit-learn's digits, a folder per class."""
    data = load_digits()
    for label in labels:
        for number, image in enumerate(data.images[data.target == label][:PER_CLASS]):
            path = folder / f"digit {label}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = Image.fromarray((image * 15.9).astype(np.uint8))
            pixels.resize((48, 48), Image.Resampling.BICUBIC).save(path)
    return folder


def watch_memory(home: Path, figures: Figures, stop: threading.Event) -> None:
    """Proportional memory of all the stack's processes, every ten seconds."""
    while not stop.wait(10):
        roots = [status.pid for status in embedded.status(home) if status.pid]
        found: dict[int, Any] = {}
        for pid in roots:
            try:
                process = psutil.Process(pid)
                found |= {p.pid: p for p in [process, *process.children(recursive=True)]}
            except psutil.NoSuchProcess:
                continue
        figures.memory_mib.append(sum(_pss(process) for process in found.values()) / _MIB)


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0


def show(figures: Figures, users: int, minutes: float) -> None:
    """Latencies by call, failures by reason, jobs by outcome, memory."""
    console = Console(width=110)
    table = Table("call", "count", "p50 s", "p95 s", "p99 s", "longest s", box=None)
    for call, seconds in sorted(figures.seconds.items()):
        marks = [f"{np.percentile(seconds, p):.2f}" for p in (50, 95, 99, 100)]
        table.add_row(call, f"{len(seconds):,}", *marks)
    console.print(f"{users} users, {minutes:g} minutes")
    console.print(table)
    console.print(f"jobs: {dict(figures.jobs)}")
    console.print(f"failures: {sum(figures.failures.values())}")
    for reason, count in figures.failures.most_common(20):
        console.print(f"  {count} x {reason}", markup=False)
    memory = figures.memory_mib or [0.0]
    console.print(f"memory: {memory[0]:,.0f} MiB at first, {max(memory):,.0f} MiB at most")


if __name__ == "__main__":
    main()
