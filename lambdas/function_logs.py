"""Log lines of functions, read by the time at which they were written."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One event; the time is in milliseconds since the epoch."""

    at_ms: int
    message: str
    stream: str = ""  # names the function's version: `2026/11/27/[7]0f3c…`


def log_group(function: str) -> str:
    """Where Lambda puts a function's log unless told otherwise."""
    return f"/aws/lambda/{function}"


def log_events(
    logs: Any, function: str, start_ms: int, end_ms: int, most_pages: int | None = None
) -> Iterator[LogEvent]:
    """Every event of a function's log with start <= time < end, each once.

    None for a function without a log. Raises `TooManyLines` after `most_pages`.
    """
    if end_ms <= start_ms:
        return
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=log_group(function), startTime=start_ms, endTime=end_ms - 1
    )
    seen: set[str] = set()
    try:
        for number, page in enumerate(pages):
            if number == most_pages:
                raise TooManyLines(function)
            yield from _new(page["events"], seen)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise


class TooManyLines(Exception):
    """There is more to be read than may be read at once."""


def _new(events: list[dict[str, Any]], seen: set[str]) -> Iterator[LogEvent]:
    """AWS gives each event an id, and does not promise that pages never overlap."""
    for event in events:
        event_id = event.get("eventId")
        if event_id not in seen:
            yield LogEvent(event["timestamp"], event["message"], event.get("logStreamName", ""))
        if event_id:
            seen.add(event_id)
