"""What the versions of a project's function have answered, as its log says.

Every call leaves a line of its own (`contracts/request_line.py`) and Lambda's report; a crash
leaves only the latter. The version is in the name of the log stream.
"""

import re
import time
from dataclasses import dataclass
from typing import Final

from contracts.identity import Project
from contracts.request_line import CallReport, RequestLine
from lambdas.function_logs import LogEvent, log_events
from models.canary import Answers
from tasks import clients
from tasks.settings import settings

_VERSION: Final = re.compile(r"\[(\d+)\]")
_OVERLAP_SECONDS: Final = 30.0  # lines may arrive late
_NO_FAULT_OF_A_MODEL: Final = {401, 403, 404, 429}


@dataclass(frozen=True, slots=True)
class Call:
    """One call; without a line the function did not come so far as to answer."""

    version: str
    line: RequestLine | None = None


class FunctionLog:
    """Calls from `since` on, and before `until` where that is given; seconds since the epoch."""

    def __init__(self, project: Project, since: float, until: float | None = None) -> None:
        self._function = project.function_name(settings().stack)
        self._since, self._until = since, until
        self._newest = since
        self._calls: dict[str, Call] = {}

    def read(self) -> None:
        """Read on where the last reading ended."""
        start = max(self._since, self._newest - _OVERLAP_SECONDS)
        end = self._until or time.time() + _OVERLAP_SECONDS  # clocks differ
        events = log_events(clients.logs(), self._function, int(start * 1_000), int(end * 1_000))
        for event in events:
            self._add(event)

    def answers(self, version: str) -> Answers:
        """Of one version, by its number; without what a release has tried."""
        calls = [call.line for call in self._calls.values() if call.version == version]
        lines = [line for line in calls if line is not None and not line.is_trial]
        good = [line for line in lines if line.status < 400]
        refused = [line for line in lines if 400 <= line.status < 500]
        crashes = calls.count(None)
        return Answers(
            total=len(lines) + crashes,
            failed=len(lines) - len(good) - len(refused) + crashes,
            refused=sum(line.status not in _NO_FAULT_OF_A_MODEL for line in refused),
            milliseconds=tuple(line.ms for line in good if not line.is_cold),
        )

    def _add(self, event: LogEvent) -> None:
        self._newest = max(self._newest, event.at_ms / 1_000)
        stream = _VERSION.search(event.stream)
        if stream is None:
            return  # of what is being prepared
        if line := RequestLine.from_log(event.message):
            self._calls[line.request_id] = Call(stream[1], line)
        elif report := CallReport.from_log(event.message):
            self._calls.setdefault(report.request_id, Call(stream[1]))
