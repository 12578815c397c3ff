"""All endpoints of the stack, so that whoever looks after them needs no scan of the table.

| pk        | sk             | holds                                                |
|-----------|----------------|------------------------------------------------------|
| ENDPOINTS | PROJECT#{slug} | whose it is, and the day up to which it is accounted |
"""

from dataclasses import dataclass

from contracts.identity import Project
from lambdas.table import Key, Table

_PARTITION = "ENDPOINTS"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A project that is served; all lines of the days before `reading_day` are counted."""

    project: Project
    reading_day: str  # UTC, such as 2026-11-27


class Endpoints:
    """The list of them."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, project: Project, today: str) -> None:
        """Say that a project is served; repeating it changes nothing."""
        values = {"user": project.user, "name": project.name, "reading_day": today}
        self._table.put_new(_key(project), values)

    def remove(self, project: Project) -> None:
        """Say that it is not any more, or is no more."""
        self._table.delete(_key(project))

    def find(self, project: Project) -> Endpoint | None:
        """One of them."""
        item = self._table.get(_key(project))
        return Endpoint(project, item["reading_day"]) if item else None

    def all(self) -> list[Endpoint]:
        """Every project that is served."""
        return [
            Endpoint(Project(item["user"], item["name"]), item["reading_day"])
            for item in self._table.query(_PARTITION, "PROJECT#")
        ]

    def move_on(self, project: Project, day: str) -> None:
        """Say that all days before this one are accounted."""
        self._table.update(_key(project), {"reading_day": day})


def _key(project: Project) -> Key:
    return _PARTITION, f"PROJECT#{project.slug}"
