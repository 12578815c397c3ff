"""An endpoint's usage, day by day: each log line is counted once, however often it is read.

Lines come late, and whoever counts may be killed. So a day's item holds the counts up to a time
before which no line is expected any more, and beside them those of the lines since, which are
counted anew each time. Both move on in one conditional write.

| pk             | sk          | holds                       |
|----------------|-------------|-----------------------------|
| PROJECT#{slug} | USAGE#{day} | the counts of one day (UTC) |
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from contracts.identity import Project
from lambdas.state import State
from lambdas.table import Key
from lambdas.tally import Tally

_DAY_MS: Final = 86_400_000
_KEPT_SECONDS: Final = 400 * 86_400


@dataclass(frozen=True, slots=True)
class DayUsage:
    """What is known of a day; times are in milliseconds since the epoch."""

    day: str
    settled_to_ms: int  # lines before this are in `settled` and never read again
    read_to_ms: int  # those from there up to this are in `recent`
    settled: Tally = field(default_factory=Tally)
    recent: Tally = field(default_factory=Tally)
    revision: int = 0  # of the item that this was read from; 0 if there was none

    @classmethod
    def of(cls, day: str) -> "DayUsage":
        """A day of which nothing has been read."""
        return cls(day, day_start_ms(day), day_start_ms(day))

    @property
    def end_ms(self) -> int:
        """When the day is over."""
        return day_start_ms(self.day) + _DAY_MS

    @property
    def is_complete(self) -> bool:
        """Whether no line of the day is expected any more."""
        return self.settled_to_ms >= self.end_ms

    @property
    def total(self) -> Tally:
        """Of all lines that have been read."""
        return self.settled.merged(self.recent)


class UsageDays:
    """The items of one project."""

    def __init__(self, state: State, project: Project) -> None:
        self._table, self._project = state.table, project
        self._guard = state.guard(project)

    def day(self, day: str) -> DayUsage:
        """One day, perhaps of which nothing is known."""
        item = self._table.get(self._key(day))
        return _day_usage(item) if item else DayUsage.of(day)

    def month(self, month: str) -> list[DayUsage]:
        """The days of a month such as 2026-11 that have been read, in order."""
        items = self._table.query(f"PROJECT#{self._project.slug}", f"USAGE#{month}-")
        return [_day_usage(item) for item in items]

    def put(self, usage: DayUsage) -> bool:
        """Store what followed upon `usage.revision`; return False if something else has meanwhile.

        Nor is anything stored of a project that is deleted, so that nothing is left behind.
        """
        values = {
            "settled_to_ms": usage.settled_to_ms,
            "read_to_ms": usage.read_to_ms,
            "settled": usage.settled.as_item(),
            "recent": usage.recent.as_item(),
            "expires_at": int(time.time()) + _KEPT_SECONDS,
        }
        return self._table.put_revision(self._key(usage.day), values, usage.revision, self._guard)

    def _key(self, day: str) -> Key:
        return f"PROJECT#{self._project.slug}", f"USAGE#{day}"


def day_of(seconds: float) -> str:
    """The day (UTC) of a time since the epoch, such as 2026-11-27."""
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def day_after(day: str, days: int = 1) -> str:
    """So many days later, or earlier."""
    return (date.fromisoformat(day) + timedelta(days)).isoformat()


def months_between(first: str, last: str) -> list[str]:
    """Every month, such as 2026-11, that has one of these days."""
    months = [first[:7]]
    while months[-1] < last[:7]:
        months.append(day_after(f"{months[-1]}-28", 4)[:7])
    return months


def day_start_ms(day: str) -> int:
    """When a day (UTC) begins."""
    return int(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()) * 1_000


def _day_usage(item: dict[str, Any]) -> DayUsage:
    return DayUsage(
        day=item["sk"].removeprefix("USAGE#"),
        settled_to_ms=item["settled_to_ms"],
        read_to_ms=item["read_to_ms"],
        settled=Tally.from_item(item["settled"]),
        recent=Tally.from_item(item["recent"]),
        revision=item["revision"],
    )
