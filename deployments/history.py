"""What was live when, out of a project's releases."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from contracts.errors import InvalidRequest

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_WITHDRAWN: Final = "withdrawn"  # a version that was not live for a moment


@dataclass(frozen=True, slots=True)
class Moments:
    """From `start` to before `end`, seconds since the epoch; of one moment both are the same."""

    start: float
    end: float

    @classmethod
    def parse(cls, text: str) -> "Moments":
        """A day, or a moment of it; this machine's time where no other is named.

        Raises `InvalidRequest`.
        """
        try:
            at = datetime.fromisoformat(text)
            at = at if at.tzinfo else at.astimezone()
            is_day = _DAY.fullmatch(text) is not None
            end = (at.replace(tzinfo=None) + timedelta(days=1)).astimezone() if is_day else at
            return cls(at.timestamp(), end.timestamp())
        except (ValueError, OverflowError) as error:
            raise InvalidRequest(
                f"{text[:80]!r} is neither a day nor a moment",
                fix="say 2026-11-20, or 2026-11-20T14:30, with Z at its end for UTC",
            ) from error


@dataclass(frozen=True, slots=True)
class Period:
    """How long a version was live; `until` is None for the one that is."""

    model_version: str
    lambda_version: str
    since: float
    until: float | None
    by: str
    reason: str

    def touches(self, moments: Moments) -> bool:
        """Whether it was live at any of these moments."""
        has_begun = self.since < moments.end or self.since <= moments.start
        return has_begun and (self.until is None or self.until > moments.start)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def periods(releases: Iterable[dict[str, Any]]) -> Iterator[Period]:
    """Newest first, as `releases` are, which come from the API."""
    until: float | None = None
    for release in releases:
        if release["event"] != _WITHDRAWN:
            yield Period(
                release["model_version"],
                release["lambda_version"],
                release["at"],
                until,
                release["by"],
                release["reason"],
            )
            until = release["at"]
