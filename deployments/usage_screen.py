"""What `exemplar usage` prints for people."""

import time
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final

from rich.console import Console

from deployments.progress import money
from deployments.screens import say, show_table

_BARS: Final = "▁▂▃▄▅▆▇█"
_MOST_BARS: Final = 60


def show_usage(console: Console, found: dict[str, Any]) -> None:
    """The sum in a line, a bar a day, the days, the months' costs, and whether it drifts."""
    total = found["total"]
    say(console, _headline(found), "bold")
    if found["days"]:
        say(console, f"  {sparkline(_daily(found['days']))}", "dim")
        heads = ("day", "requests", "4xx", "5xx", "none of the classes", "p50", "p95", "cost")
        show_table(console, heads, [_row(day) for day in found["days"]])
    if total["cold_starts"]:
        say(console, f"{total['cold_starts']:,} of them waited for a container to start", "dim")
    for month in found["months"]:
        say(
            console,
            f"{month['month']}: {money(month['endpoint_dollars'])} for answers, "
            f"{money(month['training_dollars'])} for training, by list prices",
        )
    _show_drift(console, found["drift"])
    if found["read_to"]:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found["read_to"]))
        say(console, f"of what was logged until {at}", "dim")


def sparkline(counts: Sequence[int]) -> str:
    """A bar for each count, the last `_MOST_BARS` of them; none for 0."""
    shown = counts[-_MOST_BARS:]
    most = max(shown, default=0) or 1
    return "".join(_BARS[-(-count * len(_BARS) // most) - 1] if count else " " for count in shown)


def _headline(found: dict[str, Any]) -> str:
    total = found["total"]
    line = f"{found['project']}: {total['requests']:,} requests"
    if total["requests"]:
        line += f", {total['ok'] / total['requests']:.1%} answered"
    if total["p50_ms"] is not None:
        line += f", half within {_ms(total['p50_ms'])}, 95 % within {_ms(total['p95_ms'])}"
    return line


def _daily(days: Sequence[dict[str, Any]]) -> list[int]:
    """Requests of every day from the first to the last; days without any are not in the answer."""
    counts = {date.fromisoformat(day["day"]): day["requests"] for day in days}
    first, last = min(counts), max(counts)
    every = (first + timedelta(number) for number in range((last - first).days + 1))
    return [counts.get(day, 0) for day in every]


def _row(day: dict[str, Any]) -> tuple[object, ...]:
    counts = (f"{day[name]:,}" for name in ("requests", "refused", "failed", "none"))
    return day["day"], *counts, _ms(day["p50_ms"]), _ms(day["p95_ms"]), money(day["dollars"])


def _show_drift(console: Console, drift: dict[str, Any] | None) -> None:
    if drift is None:
        say(console, "drift: not judged yet, which takes some answers of the live model", "dim")
        return
    if drift["is_drifting"]:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(drift["since"]))
        say(console, f"drifting since {since}: {drift['reason']}", "bold yellow")
    else:
        say(console, f"no drift: {drift['reason']}")


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g} ms" if value < 1_000 else f"{value / 1e3:.1f} s"
