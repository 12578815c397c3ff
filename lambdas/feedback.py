"""Right labels that were given afterwards, one for each example of a project.

| pk             | sk                | holds                                              |
|----------------|-------------------|----------------------------------------------------|
| PROJECT#{slug} | FEEDBACK          | how many there are; its version guards all of them |
| PROJECT#{slug} | FEEDBACK#{number} | a label, what it is of and when it came            |
| PROJECT#{slug} | FEEDBACKOF#{sha}  | the number of an example's label                   |

Numbers only rise. What a training has learnt is all up to a number, so how many are new is known
without counting them.
"""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

from contracts.corrections import Correction
from contracts.errors import LimitExceeded, NotFound, Unavailable
from contracts.identity import Project
from lambdas.state import State
from lambdas.table import GuardFailed, Key

_TRIES: Final = 40  # of 5 ms each at first: dozens of callers at the same moment get through
_ASKED_SECONDS: Final = 3_600.0  # no more trainings than one an hour are asked for by labels


@dataclass(frozen=True, slots=True)
class Feedback:
    """One label that somebody gave."""

    sha256: str
    label: str
    size_bytes: int
    content_type: str = ""  # of a picture
    text: str = ""  # all of it, of a project of text
    answered: str | None = None  # what the model had said
    model_version: str = ""
    request_id: str = ""
    at: float = 0.0
    number: int = 0

    @property
    def correction(self) -> Correction:
        """What trainings need of it."""
        return Correction(self.sha256, self.label, self.size_bytes, self.content_type, self.text)


@dataclass(frozen=True, slots=True)
class FeedbackCount:
    """How much there is. `learnt` is the last number that a training has started with."""

    total: int = 0
    new: int = 0  # since the last training
    size_bytes: int = 0
    last: int = 0
    learnt: int = 0
    asked_at: float = 0.0  # when a training was last asked for because there were enough
    version: int = 0


@dataclass(frozen=True, slots=True)
class _Change:
    count: FeedbackCount
    added: Feedback | None = None
    removed: Feedback | None = None


class FeedbackLog:
    """The access patterns of one project's feedback; each changes all of its items or none."""

    def __init__(self, state: State, project: Project) -> None:
        self._state, self._project = state, project
        self._table = state.table
        self._pk = f"PROJECT#{project.slug}"

    def count(self) -> FeedbackCount:
        """How many there are and how many are new, as last written."""
        item = self._table.get(self._key()) or {}
        return FeedbackCount(**_only(item, FeedbackCount))

    def find(self, sha256: str) -> Feedback | None:
        """The label of an example, or None."""
        pointer = self._table.get(self._pointer(sha256))
        item = self._table.get(self._key(pointer["number"])) if pointer else None
        return Feedback(**_only(item, Feedback)) if item else None

    def put(self, given: Feedback, most: int, most_bytes: int) -> tuple[FeedbackCount, bool]:
        """Keep a label, instead of the example's former one; return whether anything changed.

        Raises `LimitExceeded` when there would be more than `most`, or than `most_bytes` in all.
        """

        def change(count: FeedbackCount) -> _Change | None:
            former = self.find(given.sha256)
            if former and former.label == given.label:
                return None
            changed = replace(
                _without(count, former),
                total=count.total + (former is None),
                last=count.last + 1,
            )
            changed = replace(
                changed, new=changed.new + 1, size_bytes=changed.size_bytes + given.size_bytes
            )
            _check_room(changed, most, most_bytes)
            return _Change(changed, replace(given, at=time.time(), number=changed.last), former)

        return self._apply(change)

    def remove(self, sha256: str) -> FeedbackCount:
        """Take a label back. Raises `NotFound`."""

        def change(count: FeedbackCount) -> _Change:
            former = self.find(sha256)
            if former is None:
                raise NotFound(
                    f"there is no feedback on the example {sha256[:12]}",
                    fix="look at the list of the project's feedback",
                )
            return _Change(replace(_without(count, former), total=count.total - 1), None, former)

        return self._apply(change)[0]

    def newest(self, limit: int, before: int = 0) -> list[Feedback]:
        """The latest labels, or those in front of a number."""
        items = self._table.newest(
            self._pk, "FEEDBACK#", limit, self._key(before)[1] if before else ""
        )
        return [Feedback(**_only(item, Feedback)) for item in items]

    def all(self) -> list[Feedback]:
        """Every label, in the order in which they came."""
        items = self._table.query(self._pk, "FEEDBACK#")
        return [Feedback(**_only(item, Feedback)) for item in items]

    def relabel(self, relabelling: Callable[[str, str], str | None]) -> None:
        """Rename labels as told by an example and its label; None takes one back.

        They keep their numbers, so none counts as new again. Repeating it is harmless.
        """
        if not self.count().total:
            return
        changed = [(one, relabelling(one.sha256, one.label)) for one in self.all()]
        renamed = [(one, label) for one, label in changed if label not in (None, one.label)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda change: self._rename(*change), renamed))
        for one, label in changed:
            if label is None:
                with suppress(NotFound):
                    self.remove(one.sha256)

    def _rename(self, one: Feedback, label: str | None) -> None:
        """Unless somebody has given it another meanwhile."""
        self._table.update(self._key(one.number), {"label": label}, only_if={"label": one.label})

    def mark_learnt(self, number: int) -> None:
        """A training has started with all labels up to this number; repeating it is harmless."""

        def change(count: FeedbackCount) -> _Change | None:
            if number <= count.learnt:
                return None
            return _Change(replace(count, learnt=number, new=self._count_after(number)))

        self._apply(change)

    def _count_after(self, number: int) -> int:
        """Those that came while a training was being started: mostly none, so one short page."""
        found, before = 0, 0
        while page := self.newest(100, before):
            newer = [one for one in page if one.number > number]
            found += len(newer)
            if len(newer) < len(page):
                break
            before = page[-1].number
        return found

    def claim_asking(self, threshold: int) -> bool:
        """Whether there are so many new labels that a training shall be asked for, by this caller.

        Of many callers at the same moment one is told so, and nobody for an hour afterwards.
        """
        claimed = False

        def change(count: FeedbackCount) -> _Change | None:
            nonlocal claimed
            now = time.time()
            claimed = count.new >= threshold and count.asked_at < now - _ASKED_SECONDS
            return _Change(replace(count, asked_at=now)) if claimed else None

        self._apply(change)
        return claimed

    def _apply(
        self, change: Callable[[FeedbackCount], _Change | None]
    ) -> tuple[FeedbackCount, bool]:
        """Read, change, write; from the beginning if somebody else has written meanwhile.

        Raises `NotFound` and `BeingDeleted` where the project is gone.
        """
        for attempt in range(_TRIES):
            count = self.count()
            wanted = change(count)
            if wanted is None:
                return count, False
            # A label that the count does not know of yet was written after it had been read.
            is_stale = wanted.removed is not None and wanted.removed.number > count.last
            if not is_stale and self._write(wanted, count.version):
                return wanted.count, True
            time.sleep(random.uniform(0, 0.005 * min(attempt + 1, 20)))  # noqa: S311  # no secret
        raise Unavailable("too many labels came at the same moment", fix="send it again")

    def _write(self, wanted: _Change, version: int) -> bool:
        puts = {self._key(): asdict(replace(wanted.count, version=version + 1))}
        deletes: list[Key] = []
        if added := wanted.added:
            puts[self._key(added.number)] = asdict(added)
            puts[self._pointer(added.sha256)] = {"number": added.number}
        if removed := wanted.removed:
            deletes.append(self._key(removed.number))
            deletes += [] if added else [self._pointer(removed.sha256)]
        try:
            guard = self._state.guard(self._project)
            return self._table.write_all(puts, deletes, self._key(), version, guard)
        except GuardFailed:
            self._state.project(self._project)
            return False  # it has been made anew at this very moment

    def _key(self, number: int | None = None) -> Key:
        return self._pk, "FEEDBACK" if number is None else f"FEEDBACK#{number:012d}"

    def _pointer(self, sha256: str) -> Key:
        return self._pk, f"FEEDBACKOF#{sha256}"


def _without(count: FeedbackCount, former: Feedback | None) -> FeedbackCount:
    """As if a label had not been there, but for the total."""
    if former is None:
        return count
    return replace(
        count,
        new=count.new - (former.number > count.learnt),
        size_bytes=count.size_bytes - former.size_bytes,
    )


def _check_room(count: FeedbackCount, most: int, most_bytes: int) -> None:
    if count.total > most or count.size_bytes > most_bytes:
        raise LimitExceeded(
            f"this would be {count.total:,} examples of {count.size_bytes:,} bytes as feedback, "
            f"at most {most:,} of {most_bytes:,} are kept",
            fix="add them to the data set instead: upload it with them, then take them back here",
        )


def _only(item: dict[str, Any], record: type[Any]) -> dict[str, Any]:
    return {f.name: item[f.name] for f in fields(record) if f.name in item}
