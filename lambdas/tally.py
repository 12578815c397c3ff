"""What the log lines of an endpoint add up to."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Self

from contracts.answer_counts import AnswerCounts, Bins, add_up
from contracts.prices import calls_dollars
from contracts.request_line import CallReport, RequestLine
from lambdas.latency import bucket_of

_MAX_VERSIONS: Final = 8  # of a model in one day whose answers are told apart


@dataclass(slots=True)
class Tally:
    """Counts of requests; adding up those of two sets of lines gives that of both."""

    requests: int = 0
    ok: int = 0  # status 2xx
    refused: int = 0  # 4xx: the caller's to change
    failed: int = 0  # 5xx, or no answer at all
    examples: int = 0  # answered; a request may hold several texts
    none: int = 0  # of them: none of the classes
    explained: int = 0
    cold_starts: int = 0
    ms: float = 0.0  # of all requests together
    calls: int = 0  # of functions, those of releases among them
    mib_ms: int = 0  # memory times duration, as billed
    latency: Bins = field(default_factory=dict)  # answered without an explanation
    versions: dict[str, AnswerCounts] = field(default_factory=dict)

    def add_request(self, line: RequestLine) -> None:
        """Count what an endpoint says of one request; health checks and trials are not usage."""
        if line.is_trial or line.is_health_check:
            return
        self.requests += 1
        self.ms += line.ms
        self.cold_starts += line.is_cold
        if line.status >= 500:
            self.failed += 1
        elif line.status >= 400:
            self.refused += 1
        else:
            self._add_answer(line)

    def add_call(self, report: CallReport, *, is_endpoint: bool) -> None:
        """Count what Lambda says of one call; of a function that died nothing else is known."""
        self.calls += 1
        self.mib_ms += report.memory_mib * report.billed_ms
        if is_endpoint and report.has_failed:
            self.requests += 1
            self.failed += 1

    def _add_answer(self, line: RequestLine) -> None:
        self.ok += 1
        self.explained += line.is_explained
        self.examples += len(line.labels)
        self.none += line.labels.count(None)
        if not line.is_explained:
            add_up(self.latency, {bucket_of(line.ms): 1})
        counts = self._counts_of(line.model_version)
        for label, confidence in zip(line.labels, line.confidences, strict=True):
            counts.add(label, confidence)

    def _counts_of(self, version: str) -> AnswerCounts:
        if version not in self.versions and len(self.versions) >= _MAX_VERSIONS:
            return AnswerCounts()
        return self.versions.setdefault(version, AnswerCounts())

    @property
    def dollars(self) -> float:
        """By list prices."""
        return calls_dollars(self.calls, self.mib_ms / 1024 / 1_000)

    def merged(self, *others: Self) -> "Tally":
        """Of all lines of several together."""
        whole = Tally()
        for one in (self, *others):
            for name in _NUMBERS:
                setattr(whole, name, getattr(whole, name) + getattr(one, name))
            add_up(whole.latency, one.latency)
            for version, counts in one.versions.items():
                whole._counts_of(version).take(counts)
        return whole

    def as_item(self) -> dict[str, Any]:
        """For the state table."""
        return {name: getattr(self, name) for name in _NUMBERS} | {
            "latency": {str(bucket): count for bucket, count in self.latency.items()},
            "versions": {name: counts.as_item() for name, counts in self.versions.items()},
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Undo `as_item`."""
        return cls(
            **{name: item[name] for name in _NUMBERS},
            latency={int(bucket): count for bucket, count in item["latency"].items()},
            versions={
                name: AnswerCounts.from_item(counts) for name, counts in item["versions"].items()
            },
        )


_NUMBERS: Final = tuple(f.name for f in fields(Tally) if f.name not in {"latency", "versions"})
