"""From an endpoint's log to its usage. What is read twice gives the same as what is read once."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from contracts.identity import Project
from contracts.request_line import CallReport, RequestLine
from lambdas.function_logs import LogEvent, log_events
from lambdas.tally import Tally
from lambdas.usage import DayUsage

LATE_MS: Final = 15 * 60_000  # how long after its time a line may come
LONGEST_MS: Final = 6 * 3_600_000  # read at once, so that little is lost with a killed reader


@dataclass(slots=True)
class _Window:
    """Lines with start <= time < end; those before `settles_ms` are the last of their time."""

    start_ms: int
    settles_ms: int
    end_ms: int
    settled: Tally = field(default_factory=Tally)
    recent: Tally = field(default_factory=Tally)

    def tally_of(self, event: LogEvent) -> Tally:
        return self.settled if event.at_ms < self.settles_ms else self.recent


class Reader:
    """Reads the logs of one stack's endpoints."""

    def __init__(self, logs: Any, stack: str, most_pages: int | None = None) -> None:
        """`logs` is a CloudWatch Logs client; `most_pages` bounds what is read at once."""
        self._logs, self._stack, self._most_pages = logs, stack, most_pages

    def read_on(self, project: Project, usage: DayUsage, now_ms: int) -> DayUsage:
        """The day after reading its lines up to now, or for `LONGEST_MS` after the settled ones.

        Raises `TooManyLines` beyond `most_pages`.
        """
        end = min(usage.end_ms, now_ms, usage.settled_to_ms + LONGEST_MS)
        settles = max(usage.settled_to_ms, min(end, now_ms - LATE_MS))
        window = _Window(usage.settled_to_ms, settles, end)
        if self._count_requests(project, window):
            self._count_calls_of_image(project, window)
        return replace(
            usage,
            settled=usage.settled.merged(window.settled),
            settled_to_ms=settles,
            recent=window.recent,
            read_to_ms=end,
        )

    def read_all(self, project: Project, usage: DayUsage, now_ms: int) -> DayUsage:
        """The day after reading its lines up to now. Raises `TooManyLines`."""
        while not usage.is_complete:
            usage = self.read_on(project, usage, now_ms)
            if usage.read_to_ms >= min(usage.end_ms, now_ms):
                break
        return usage

    def _count_requests(self, project: Project, window: _Window) -> bool:
        """Whether a function with a container image has answered any of them."""
        is_forwarded = False
        for event in self._events(project.function_name(self._stack), window):
            if line := RequestLine.from_log(event.message):
                window.tally_of(event).add_request(line)
                is_forwarded = is_forwarded or line.is_forwarded
            elif report := CallReport.from_log(event.message):
                window.tally_of(event).add_call(report, is_endpoint=True)
        return is_forwarded

    def _count_calls_of_image(self, project: Project, window: _Window) -> None:
        """What they cost; the requests have been counted where they came in."""
        for event in self._events(project.image_function_name(self._stack), window):
            if report := CallReport.from_log(event.message):
                window.tally_of(event).add_call(report, is_endpoint=False)

    def _events(self, function: str, window: _Window) -> Iterator[LogEvent]:
        return log_events(self._logs, function, window.start_ms, window.end_ms, self._most_pages)
