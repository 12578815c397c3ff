"""What a user has of the quotas: refused where there is no room, given back by looking.

Nobody has to say that something has ended. Where a quota is used up, what is held is compared with
what there is, so a project that was deleted or a job that has died counts no longer.
"""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from contracts.errors import QuotaExceeded
from contracts.identity import Project
from contracts.quotas import Quotas
from lambdas.ledger import Entry, Ledger
from lambdas.state import State
from lambdas.stored_bytes import STORED, StoredBytes

_BEING_MADE_SECONDS = 120.0  # what is held first exists a moment later
_MORE = "or ask for a higher quota"


class HeldQuotas:
    """Of one user. Every call may be repeated: what has its place keeps it."""

    def __init__(self, state: State, user: str) -> None:
        self._state, self._user = state, user
        self._projects = Ledger(state.table, user, "PROJECTS")
        self._trainings = Ledger(state.table, user, "TRAININGS")
        self._jobs = Ledger(state.table, user, "JOBS")
        self._bytes = Ledger(state.table, user, "BYTES")

    @property
    def quotas(self) -> Quotas:
        """As they are set at this moment."""
        return self._state.accounts.quotas(self._user)

    def take_project(self, name: str) -> None:
        """Hold a project that is about to be made. Raises `QuotaExceeded`."""
        limit = self.quotas.projects
        if not _take(self._projects, name, limit, self._vanished):
            raise QuotaExceeded(
                f"you have {self._projects.taken()} projects, your quota is {limit}",
                fix=f"delete one that is no longer needed, {_MORE}",
            )

    def take_training(self, project: Project, job_id: str) -> None:
        """Hold a job that is about to be made, now and for the day. Raises `QuotaExceeded`."""
        quotas, name = self.quotas, f"{project.name}#{job_id}"
        if not _take(self._jobs, name, quotas.jobs, self._ended):
            raise _too_many_jobs(self._jobs.taken(), quotas.jobs)
        # Without the project's name, as it counts for the day although the project goes.
        if not _take(self._trainings, job_id, quotas.trainings_per_day, self._earlier):
            if held := self._jobs.find(name):
                self._jobs.give_back(held)
            raise _too_many_trainings(self._trainings.taken(), quotas.trainings_per_day)

    def foresee_training(self, project: Project, job_id: str) -> None:
        """As `take_training`, but nothing is held and nothing given back."""
        quotas, name = self.quotas, f"{project.name}#{job_id}"
        held = self._jobs.entries()
        if name not in {entry.name for entry in held}:
            is_full = len(held) >= quotas.jobs
            running = [entry for entry in held if self._is_open(entry)] if is_full else []
            if is_full and len(running) >= quotas.jobs:
                raise _too_many_jobs(len(running), quotas.jobs)
        today = [entry.name for entry in self._trainings.entries() if _is_of_today(entry)]
        if job_id not in today and len(today) >= quotas.trainings_per_day:
            raise _too_many_trainings(len(today), quotas.trainings_per_day)

    def names_of(self, project: str, *, with_announced: bool) -> list[str]:
        """What is held for a project; `with_announced` also what may still be sent for an hour."""
        held = [f"PROJECTS#{project}"] if self._projects.find(project) else []
        held += [f"JOBS#{entry.name}" for entry in self._jobs.entries(f"{project}#")]
        for entry in self._bytes.entries(f"{project}#"):
            if with_announced or entry.name == f"{project}#{STORED}":
                held.append(f"BYTES#{entry.name}")
        return held

    def forget(self, names: Iterable[str]) -> None:
        """Give back what `names_of` has named; what is gone already is no error."""
        ledgers = {"PROJECTS": self._projects, "JOBS": self._jobs, "BYTES": self._bytes}
        for name in names:
            what, _, entry = name.partition("#")
            while (held := ledgers[what].find(entry)) and not ledgers[what].give_back(held):
                pass  # it was taken again this moment

    def as_dict(self, stored: StoredBytes) -> dict[str, int]:
        """What is in use, without what has ended."""
        _give_back(self._projects, self._vanished())
        _give_back(self._jobs, self._ended())
        stored.settle_deleted(self._names())
        return {
            "projects": self._projects.taken(),
            "stored_bytes": stored.taken(),
            "trainings_today": sum(_is_of_today(entry) for entry in self._trainings.entries()),
            "jobs": self._jobs.taken(),
        }

    def _vanished(self) -> list[Entry]:
        names = self._names()
        held = self._projects.entries()
        return [entry for entry in held if entry.name not in names and not _is_new(entry)]

    def _ended(self) -> list[Entry]:
        return [entry for entry in self._jobs.entries() if not self._is_open(entry)]

    def _is_open(self, entry: Entry) -> bool:
        name, _, job_id = entry.name.partition("#")
        job = self._state.find_job(Project(self._user, name), job_id)
        return not job.state.is_final if job else _is_new(entry)

    def _earlier(self) -> list[Entry]:
        return [entry for entry in self._trainings.entries() if not _is_of_today(entry)]

    def _names(self) -> set[str]:
        return {record.project.name for record in self._state.projects(self._user)}


def _too_many_jobs(found: int, limit: int) -> QuotaExceeded:
    return QuotaExceeded(
        f"{found} of your jobs are waiting or running, your quota is {limit}",
        fix=f"wait for one to end, cancel one, {_MORE}",
    )


def _too_many_trainings(found: int, limit: int) -> QuotaExceeded:
    return QuotaExceeded(
        f"{found} trainings were started today (UTC), your quota is {limit} a day",
        fix=f"wait for {_hours_left():.1f} hours, {_MORE}",
    )


def _take(ledger: Ledger, name: str, limit: int, ended: Callable[[], list[Entry]]) -> bool:
    if ledger.take(name, 1, limit):
        return True
    _give_back(ledger, ended())
    return ledger.take(name, 1, limit)


def _give_back(ledger: Ledger, entries: list[Entry]) -> None:
    for entry in entries:
        ledger.give_back(entry)


def _is_new(entry: Entry) -> bool:
    return time.time() - entry.taken_at < _BEING_MADE_SECONDS


def _is_of_today(entry: Entry) -> bool:
    return datetime.fromtimestamp(entry.taken_at, UTC).date() == datetime.now(UTC).date()


def _hours_left() -> float:
    return 24.0 - (time.time() % 86_400) / 3_600
