"""Who may ask a project's endpoint, and how often: one item, which its function reads.

| pk             | sk   | holds                                                       |
|----------------|------|-------------------------------------------------------------|
| PROJECT#{slug} | KEYS | what `serving.access.EndpointAccess` reads: keys' hashes, … |
"""

import hashlib
from typing import Any

from contracts.identity import Project
from lambdas.table import Guard, Key, Table


class Credentials:
    """Keys of projects' endpoints. A function looks for changes once a minute."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def put_key(self, project: Project, key: str) -> None:
        """Make `key` the only one that opens the project's endpoint."""
        self._assign(project, {"hashes": {digest(key)}})

    def add_key(self, project: Project, key: str) -> None:
        """Let `key` open the endpoint beside the others."""
        self._table.add_to_set(_key(project), "hashes", {digest(key)})

    def remove_key(self, project: Project, key: str) -> None:
        """Take back one key; removing an absent one changes nothing."""
        self._table.remove_from_set(_key(project), "hashes", {digest(key)})

    def put_log_share(self, project: Project, share: float) -> None:
        """Let the endpoint keep this share of its requests; it reads this within a minute."""
        self._assign(project, {"log_share": share})

    def remove_keys(self, project: Project) -> None:
        """Close the endpoint for everybody."""
        self._table.delete(_key(project))

    def count_keys(self, project: Project) -> int:
        """How many keys open the endpoint."""
        return len((self._table.get(_key(project)) or {}).get("hashes", ()))

    def set_access(
        self,
        project: Project,
        auth: str,
        requests_per_minute: int | None,
        *,
        fetches_urls: bool = False,
    ) -> None:
        """What opens the endpoint, and how often one caller may ask; None: as the stack says.

        `fetches_urls` is whether it may be asked about a picture's address.
        """
        changes = {"endpoint_auth": auth, "requests_per_minute": requests_per_minute or 0}
        self._assign(project, changes | {"fetch_urls": fetches_urls})

    def _assign(
        self, project: Project, changes: dict[str, Any], guard: Guard | None = None
    ) -> None:
        self._table.assign(_key(project), changes, guard)


def digest(secret: str) -> str:
    """What is stored of a token or key."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(project: Project) -> Key:
    return f"PROJECT#{project.slug}", "KEYS"
