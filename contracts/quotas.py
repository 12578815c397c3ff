"""How much one user may have at once or do in a day. Settings with defaults."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from contracts.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Quotas:
    """A user's; 0 allows none. Others than these can be given to a single user."""

    projects: int = 100
    stored_gib: int = 500  # of examples
    trainings_per_day: int = 200  # that are started on a calendar day (UTC)
    jobs: int = 50  # at once

    @property
    def stored_bytes(self) -> int:
        """Of all examples of all projects."""
        return self.stored_gib * 2**30

    @classmethod
    def from_environment(cls) -> "Quotas":
        """Defaults, overridden by `EXEMPLAR_QUOTA_<NAME>` variables. Raises `InvalidRequest`."""
        found: dict[str, Any] = {}
        for field in fields(cls):
            variable = f"EXEMPLAR_QUOTA_{field.name.upper()}"
            if raw := os.environ.get(variable):
                found[field.name] = _quota(variable, int(raw) if raw.isdecimal() else raw)
        return cls(**found)

    def with_changes(self, changes: Mapping[str, int]) -> "Quotas":
        """These, as far as a user has no others of his own."""
        return replace(self, **changes)

    def as_dict(self) -> dict[str, int]:
        """For the API's answers."""
        return asdict(self)


def parse_quotas(given: Mapping[str, Any]) -> dict[str, int]:
    """A user's own quotas, those left out being None. Raises `InvalidRequest`."""
    return {name: _quota(name, value) for name, value in given.items() if value is not None}


def _quota(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 10**9:
        raise InvalidRequest(
            f"{name} is {str(value)[:40]!r}, it must be a whole number, 0 or more",
            fix="use a number such as 10",
        )
    return value
