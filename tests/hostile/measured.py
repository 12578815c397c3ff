"""Work done in a process of its own whose memory has an end, each piece measured."""

import json
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

_MOST_BYTES: Final = 6 * 2**30  # of addresses: what runs away ends here and not with the machine
_SHOWN: Final = 12


@dataclass(slots=True)
class Report:
    """What became of all pieces. Memory is in MiB over what the process held before the piece."""

    pieces: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    by_kind: dict[str, dict[str, int]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    peak_mib: float = 0.0
    slowest: list[tuple[str, float, float, str]] = field(default_factory=list)
    largest: list[tuple[str, float, float, str]] = field(default_factory=list)

    def table(self) -> str:
        """For people."""
        lines = [f"{self.pieces} pieces, peak {self.peak_mib:.0f} MiB above the start"]
        ordered = sorted(self.outcomes.items(), key=lambda item: -item[1])
        lines += [f"{count:6} {what}" for what, count in ordered]
        for title, rows in (("slowest", self.slowest), ("largest", self.largest)):
            lines += [f"-- {title}"]
            lines += [f"{s:6.2f} s {m:5.0f} MiB {name}: {what}" for name, s, m, what in rows]
        lines += [f"-- {kind:16} {counts}" for kind, counts in sorted(self.by_kind.items())]
        return "\n".join(lines)


class Measured:
    """Collects what becomes of each piece."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, float, float, str]] = []
        self._kinds: dict[str, Counter[str]] = {}
        self.failures: list[str] = []
        self._start = _held_mib()

    @contextmanager
    def piece(self, kind: str, name: str) -> Iterator[list[str]]:
        """Measure one piece; append its outcome to the list."""
        outcome: list[str] = []
        before, begun = _forget_peak(), time.perf_counter()
        try:
            yield outcome
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            outcome.append(f"raised {type(error).__name__}")
            self.failures.append(f"{name}: {type(error).__name__}: {error}"[:500])
        seconds, mib = time.perf_counter() - begun, _peak_mib() - before
        self._kinds.setdefault(kind, Counter())[outcome[0]] += 1
        self._rows.append((name, round(seconds, 3), round(mib, 1), outcome[-1][:120]))

    def report(self) -> Report:
        """Of all pieces so far."""
        outcomes: Counter[str] = sum(self._kinds.values(), Counter())
        return Report(
            len(self._rows),
            dict(outcomes),
            {kind: dict(counts) for kind, counts in self._kinds.items()},
            self.failures,
            max([_peak_mib() - self._start, *(row[2] for row in self._rows)]),
            sorted(self._rows, key=lambda row: -row[1])[:_SHOWN],
            sorted(self._rows, key=lambda row: -row[2])[:_SHOWN],
        )


def in_process(module: str, **options: Any) -> Report:
    """Run a module of this folder in a bounded process with `options`, and return its report."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", f"tests.hostile.{module}", json.dumps(options)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr[-3_000:]}"
    return Report(**json.loads(done.stdout.rpartition("\n{")[2].join(["{", ""])))


def bounded() -> dict[str, Any]:
    """In the process: set its bound, and return the options."""
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    options: dict[str, Any] = json.loads(sys.argv[1])
    return options


def tell(report: Report) -> None:
    """In the process: hand the report over, on a line of its own."""
    print("\n" + json.dumps(asdict(report)))


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1_024


def _held_mib() -> float:
    try:
        return _status("VmRSS")
    except OSError:  # no Linux
        return _peak_mib()


def _peak_mib() -> float:
    try:
        return _status("VmHWM")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


def _forget_peak() -> float:
    """Begin a new peak where the system can; return what is held now."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return _peak_mib()
    return _held_mib()
