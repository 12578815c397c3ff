"""A user's examples in bytes: counted when they are announced, set right by what is in S3.

Under `{project}#{batch}` stands what was announced and may still come: its presigned POSTs are
good for an hour. Under `{project}#stored` stands what was found when the project was last listed,
less what those announcements may have brought. The sum is never less than what is stored.
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.errors import QuotaExceeded
from contracts.identity import Project
from lambdas.ledger import Entry, Ledger
from lambdas.object_listing import stored_objects
from lambdas.state import State
from lambdas.uploads import POST_SECONDS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_LAST_BYTE_SECONDS = 900  # a file that has begun to come in time may take so long
_CLOCK_SECONDS = 5.0  # S3 rounds its times, and its clock is another
_LISTED_SECONDS = 60.0  # who is refused again and again does not list again and again
STORED = "stored"
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class _Listed:
    """Bytes found in a project."""

    all: int
    earlier: int  # than the announcements that are open


class StoredBytes:
    """Of one user, in all projects."""

    def __init__(self, state: State, s3: "S3Client", bucket: str, user: str) -> None:
        self._s3, self._bucket, self._user = s3, bucket, user
        self._accounts = state.accounts
        self._ledger = Ledger(state.table, user, "BYTES")

    def announce(self, project: Project, batch: str, size_bytes: int) -> None:
        """Hold the place of contents that are about to come. Raises `QuotaExceeded`.

        The same batch has one place. Repeating it keeps the place as long as the new POSTs.
        """
        name, limit = f"{project.name}#{batch}", self._limit()
        if self._ledger.take(name, size_bytes, limit):
            return
        self._settle_all()
        if not self._ledger.take(name, size_bytes, limit):
            raise _exceeded(f"{_gib(size_bytes)} more would be", self.taken() + size_bytes, limit)

    def check(self, project: Project) -> None:
        """Look at what a project has; files may come past the API. Raises `QuotaExceeded`."""
        self._settle(project.name)
        limit = self._limit()
        if self.taken() <= limit:
            return
        self._settle_all()
        if self.taken() > limit:
            raise _exceeded("your projects hold", self.taken(), limit)

    def foresee(self, project: Project) -> None:
        """As `check`, but it looks only where the quota seems to be used up."""
        if self.taken() > self._limit():
            self.check(project)

    def taken(self) -> int:
        """The sum."""
        return self._ledger.taken()

    def settle_deleted(self, existing: set[str]) -> None:
        """Give back what projects held that are no more."""
        for name in self._projects() - existing:
            self._settle(name)

    def _limit(self) -> int:
        return self._accounts.quotas(self._user).stored_bytes

    def _projects(self) -> set[str]:
        return {entry.name.partition("#")[0] for entry in self._ledger.entries()}

    def _settle_all(self) -> None:
        now = time.time()
        for name in sorted(self._projects()):
            stored = self._ledger.find(f"{name}#{STORED}")
            if not stored or now - stored.taken_at > _LISTED_SECONDS:
                self._settle(name)

    def _settle(self, name: str) -> None:
        for _ in range(_ATTEMPTS):
            held = {entry.name: entry for entry in self._ledger.entries(f"{name}#")}
            stored = held.pop(f"{name}#{STORED}", None)
            over = [entry for entry in held.values() if not _may_come(entry)]
            still = [entry for entry in held.values() if _may_come(entry)]
            found = self._list(Project(self._user, name), still)
            # What is open stands for itself, whether it has come or not.
            size = max(found.earlier, found.all - sum(entry.amount for entry in still))
            if self._write(name, stored, size):
                for entry in over:  # now, as they are in the listing if they came
                    self._ledger.give_back(entry)
                return

    def _write(self, name: str, stored: Entry | None, size: int) -> bool:
        if not size:
            return stored is None or self._ledger.give_back(stored)
        return self._ledger.settle(f"{name}#{STORED}", stored, size)

    def _list(self, project: Project, still: list[Entry]) -> _Listed:
        begin = min((entry.taken_at for entry in still), default=float("inf")) - _CLOCK_SECONDS
        total = earlier = 0
        for _, entry in stored_objects(self._s3, self._bucket, project):
            total += entry["Size"]
            earlier += entry["Size"] if entry["LastModified"].timestamp() < begin else 0
        return _Listed(total, earlier)


def _may_come(entry: Entry) -> bool:
    return time.time() - entry.taken_at < POST_SECONDS + _LAST_BYTE_SECONDS


def _exceeded(said: str, size_bytes: int, limit: int) -> QuotaExceeded:
    return QuotaExceeded(
        f"{said} {_gib(size_bytes)} of examples, your quota is {_gib(limit)}",
        fix="delete a project that is no longer needed, or ask for a higher quota",
    )


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / 2**30:.3g} GiB"
