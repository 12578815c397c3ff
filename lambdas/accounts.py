"""Users, their tokens and quotas of their own; of a token only the hash is stored.

| pk           | sk          | holds                                              |
|--------------|-------------|----------------------------------------------------|
| USERS        | USER#{user} | the account: its quotas, hashes of its tokens      |
| TOKEN#{hash} | TOKEN       | whose it is; it counts as long as the account says |
"""

import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from contracts.errors import Conflict, NotFound
from contracts.identity import Project
from contracts.quotas import Quotas
from lambdas.credentials import digest
from lambdas.table import Key, Table


@dataclass(frozen=True, slots=True)
class Account:
    """One user of a stack."""

    user: str
    created_at: float
    tokens: dict[str, int] = field(default_factory=dict)  # by hash: expiry, seconds of the epoch
    quotas: dict[str, int] = field(default_factory=dict)  # that differ from the stack's

    def valid_tokens(self) -> list[int]:
        """When those that are still good expire."""
        return sorted(expiry for expiry in self.tokens.values() if expiry > time.time())


class Accounts:
    """A token opens what its user has, as long as the account lists its hash.

    So rotating and removing are one write each, whatever else goes on at that moment.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, user: str, quotas: dict[str, int] | None = None) -> bool:
        """Make an account unless there is one; return whether it is new. Raises `InvalidName`."""
        user = Project(user, "any").user
        values = {"created_at": time.time(), "tokens": {}, "quotas": quotas or {}}
        return self._table.put_new(_account_key(user), values)

    def all(self) -> list[Account]:
        """Every account, by name."""
        items = self._table.query("USERS", "USER#")
        return [_account(item["sk"].removeprefix("USER#"), item) for item in items]

    def find(self, user: str) -> Account | None:
        """The account, or None."""
        item = self._table.get(_account_key(user))
        return _account(user, item) if item else None

    def account(self, user: str) -> Account:
        """Raises `NotFound`."""
        found = self.find(user)
        if found is None:
            raise _unknown(user)
        return found

    def issue(self, user: str, token: str, expires_at: float) -> None:
        """Let a token act for the user beside the others. Raises `NotFound`."""
        self._store(user, token, expires_at)
        self._change(user, {f"tokens.{digest(token)}": int(expires_at)})

    def rotate(self, user: str, token: str, expires_at: float) -> None:
        """Make this the user's only token. Raises `NotFound`."""
        old = self.account(user).tokens
        self._store(user, token, expires_at)
        self._change(user, {"tokens": {digest(token): int(expires_at)}})
        self._forget(set(old) - {digest(token)})

    def remove(self, user: str) -> None:
        """End the account and every token of it; projects stay. Raises `NotFound`."""
        old = self.account(user).tokens
        self._table.delete(_account_key(user))
        self._forget(set(old))

    def give_quotas(self, user: str, quotas: dict[str, int]) -> None:
        """Replace the user's own quotas; whoever logs in elsewhere gets an account by this."""
        if not self.add(user, quotas):
            self._change(user, {"quotas": quotas})

    def quotas(self, user: str) -> Quotas:
        """What counts for a user: his own, and the stack's for the rest."""
        account = self.find(user)
        return Quotas.from_environment().with_changes(account.quotas if account else {})

    def user_of_token(self, token: str) -> str | None:
        """The token's user, or None when it is unknown, expired or taken back."""
        item = self._table.get(_token_key(digest(token)))
        account = self.find(str(item["user"])) if item else None
        if account is None or account.tokens.get(digest(token), 0) <= time.time():
            return None
        return account.user

    def _store(self, user: str, token: str, expires_at: float) -> None:
        """Alone it opens nothing; so a call that ends here leaves nothing behind."""
        values = {"user": user, "expires_at": int(expires_at)}
        self._table.put(_token_key(digest(token)), values)

    def _change(self, user: str, changes: dict[str, Any]) -> None:
        if not self._table.update(_account_key(user), changes):
            raise _unknown(user)

    def _forget(self, hashes: set[str]) -> None:
        for one in hashes:
            self._table.delete(_token_key(one))


def new_token(user: str) -> str:
    """A secret that says whose it is, so that a person and a client can tell tokens apart."""
    return f"xt_{user}_{secrets.token_urlsafe(32)}"


def already_there(user: str) -> Conflict:
    """For whoever wants to add an account that exists."""
    return Conflict(
        f"there is a user {user!r} already",
        fix=f"give a new token with `exemplar users rotate {user}`, or choose another name",
    )


def _unknown(user: str) -> NotFound:
    return NotFound(f"there is no user {user!r}", fix="look at `exemplar users list`")


def _account_key(user: str) -> Key:
    return "USERS", f"USER#{user}"


def _token_key(hashed: str) -> Key:
    return f"TOKEN#{hashed}", "TOKEN"


def _account(user: str, item: dict[str, Any]) -> Account:
    return Account(user, item["created_at"], item["tokens"], item["quotas"])
