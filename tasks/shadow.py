"""Stored requests asked again of a new version, before anybody else may ask it.

For endpoints that are too quiet for a canary. Requests are stored where their owner wants it so,
each with its example as the endpoint takes it and with its answer (`lambdas/request_log.py`).
"""

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from contracts.errors import NotFound
from contracts.identity import Project
from contracts.keys import ProjectKeys
from tasks import clients, smoke, storage
from tasks.settings import settings

_AT_ONCE: Final = 4
_SHOWN: Final = 5
_FIELDS: Final = {"image_base64", "text"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request."""

    changes: tuple[str, ...] = ()  # "cat → dog", for each example of it
    error: str = ""


@dataclass(frozen=True, slots=True)
class Replay:
    """What the new version answers otherwise than the one that was asked."""

    asked: int
    changes: tuple[tuple[str, int], ...] = ()  # "cat → dog" and how often, the commonest first
    errors: tuple[str, ...] = ()

    @property
    def changed(self) -> int:
        """How many answers are others."""
        return sum(count for _, count in self.changes)

    def sentence(self) -> str:
        """In words."""
        shown = ", ".join(f"{count} × {change}" for change, count in self.changes[:_SHOWN])
        text = f"{self.asked:,} stored requests: {self.changed:,} answered otherwise"
        text += f" ({shown})" if shown else ""
        return f"{text}, {len(self.errors):,} failed" + (
            f": {self.errors[0]}" if self.errors else ""
        )

    def as_dict(self) -> dict[str, Any]:
        """What is recorded."""
        changes = [{"change": change, "count": count} for change, count in self.changes[:_SHOWN]]
        return {
            "asked": self.asked,
            "changed": self.changed,
            "changes": changes,
            "failed": len(self.errors),
            "errors": list(self.errors[:_SHOWN]),
        }


def replay(project: Project, version: str, limit: int) -> Replay:
    """Ask a Lambda version the newest stored requests, at most `limit`, past the endpoint."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        outcomes = [
            outcome
            for outcome in pool.map(
                lambda key: _ask(project, version, key), islice(_newest(project), limit)
            )
            if outcome is not None
        ]
    changes = Counter(change for outcome in outcomes for change in outcome.changes)
    errors = tuple(outcome.error for outcome in outcomes if outcome.error)
    return Replay(len(outcomes), tuple(changes.most_common()), errors)


def _newest(project: Project) -> Iterator[str]:
    """Keys of stored requests, day by day, the newest day first."""
    prefix = ProjectKeys(project).requests
    pages = clients.s3().get_paginator("list_objects_v2")
    where: dict[str, Any] = {"Bucket": settings().bucket}
    found = pages.paginate(**where, Prefix=prefix, Delimiter="/")
    days = [day["Prefix"] for page in found for day in page.get("CommonPrefixes", [])]
    for day in sorted(days, reverse=True):
        entries = [e for page in pages.paginate(**where, Prefix=day) for e in page["Contents"]]
        yield from (e["Key"] for e in sorted(entries, key=lambda e: e["LastModified"])[::-1])


def _ask(project: Project, version: str, key: str) -> Outcome | None:
    stored = _stored(key)
    if stored is None:
        return None
    answer = smoke.invoke(project, version, stored["example"])
    if _labels(answer) is None:  # tried once more: it may have been one call too many at once
        answer = smoke.invoke(project, version, stored["example"])
    before, now = _labels(stored), _labels(answer)
    if before is None or now is None:
        return Outcome(error=json.dumps(answer, ensure_ascii=False)[:300])
    pairs = zip(before, now, strict=True)
    return Outcome(tuple(f"{_shown(old)} → {_shown(new)}" for old, new in pairs if old != new))


def _stored(key: str) -> dict[str, Any] | None:
    """One that is gone meanwhile, or in another form, is passed over."""
    try:
        document = json.loads(storage.get(key))
    except (NotFound, ValueError):
        return None
    if not isinstance(document, dict) or _labels(document) is None:
        return None
    example = document.get("example")
    return document if isinstance(example, dict) and set(example) <= _FIELDS else None


def _labels(document: dict[str, Any]) -> list[Any] | None:
    """Of one answer, or of several; None where it holds none."""
    answers = document.get("predictions", [document])
    if not isinstance(answers, list) or not all("label" in answer for answer in answers):
        return None
    return [answer["label"] for answer in answers]


def _shown(label: Any) -> str:
    return "none of the classes" if label is None else str(label)
