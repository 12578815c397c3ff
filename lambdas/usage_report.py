"""Usage as people and programs are shown it: days, their total, and what months have cost."""

from collections.abc import Iterable, Mapping
from typing import Any

from contracts.answer_counts import AnswerCounts
from lambdas.latency import quantile
from lambdas.tally import Tally
from lambdas.usage import DayUsage

QUANTILES = {"p50_ms": 0.50, "p95_ms": 0.95, "p99_ms": 0.99}
COUNTS = (
    *("requests", "ok", "refused", "failed", "examples", "none"),
    *("explained", "cold_starts", "calls"),
)


def day_row(usage: DayUsage) -> dict[str, Any]:
    """One day of the answer."""
    return {"day": usage.day} | figures(usage.total)


def figures(tally: Tally) -> dict[str, Any]:
    """What is told of a tally; durations are those of answers without an explanation."""
    found: dict[str, Any] = {name: getattr(tally, name) for name in COUNTS}
    found |= {name: _rounded(quantile(tally.latency, q)) for name, q in QUANTILES.items()}
    found["ms"] = round(tally.ms, 1)
    found["dollars"] = round(tally.dollars, 6)
    found["versions"] = {name: _by_label(counts) for name, counts in tally.versions.items()}
    return found


def month_rows(days: Iterable[DayUsage], trainings: Mapping[str, float]) -> list[dict[str, Any]]:
    """What each month's endpoint and `trainings` have cost, by list prices."""
    endpoint: dict[str, float] = {}
    for usage in days:
        month = usage.day[:7]
        endpoint[month] = endpoint.get(month, 0.0) + usage.total.dollars
    return [
        {
            "month": month,
            "endpoint_dollars": round(endpoint.get(month, 0.0), 6),
            "training_dollars": round(trainings.get(month, 0.0), 6),
            "dollars": round(endpoint.get(month, 0.0) + trainings.get(month, 0.0), 6),
        }
        for month in sorted(endpoint.keys() | trainings.keys())
    ]


def _by_label(counts: AnswerCounts) -> dict[str, Any]:
    """How often each class was the answer; `other` are those beyond the first hundred."""
    labels = {label: sum(bins.values()) for label, bins in counts.labels.items()}
    return {
        "labels": labels,
        "other": sum(counts.other.values()),
        "none": sum(counts.none.values()),
    }


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 2)
