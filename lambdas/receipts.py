"""Receipts of deletions, under the user's partition: they outlive the project."""

import secrets
import time
from dataclasses import fields, replace
from typing import Any

from contracts.errors import Conflict, NotFound
from contracts.identity import Project, identifier
from contracts.receipt import KEPT_SECONDS, Receipt
from lambdas.table import Key, Table


class Receipts:
    """Access patterns of receipts. One that is done expires by itself after a year."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def open(self, project: Project, receipt_id: str, counts: dict[str, int]) -> Receipt:
        """The receipt of a deletion, made with these counts unless it exists."""
        now = time.time()
        receipt = Receipt(receipt_id, project.name, now, now, message="waiting", counts=counts)
        values = {name: getattr(receipt, name) for name in receipt.__dataclass_fields__}
        if self._table.put_new(_key(project.user, receipt_id), values):
            return receipt
        return self.receipt(project.user, receipt_id)

    def find(self, user: str, receipt_id: str) -> Receipt | None:
        """A receipt, or None."""
        item = self._table.get(_key(user, receipt_id))
        return None if item is None else _receipt(item)

    def receipt(self, user: str, receipt_id: str) -> Receipt:
        """Raises `NotFound`."""
        found = self.find(user, receipt_id)
        if found is None:
            raise NotFound(
                f"there is no receipt {receipt_id!r}", fix="look at the list: GET /v1/receipts"
            )
        return found

    def of_project(self, project: Project, receipt_id: str) -> Receipt:
        """Raises `NotFound`, also for another project's."""
        found = self.receipt(project.user, receipt_id)
        if found.project != project.name:
            raise NotFound(
                f"receipt {receipt_id!r} is not of project {project.name!r}",
                fix=f"it is of {found.project!r}",
            )
        return found

    def receipts(self, user: str) -> list[Receipt]:
        """All of a user's, newest first."""
        items = self._table.query(f"USER#{user}", "RECEIPT#")
        return [_receipt(item) for item in reversed(items)]

    def latest(self, project: Project) -> Receipt | None:
        """Of the last deletion of a project of this name."""
        own = (one for one in self.receipts(project.user) if one.project == project.name)
        return next(own, None)

    def note(self, user: str, receipt_id: str, **changes: Any) -> None:
        """Say how it goes on."""
        changes["updated_at"] = time.time()
        self._table.update(_key(user, receipt_id), changes)

    def step(self, user: str, receipt: Receipt, **changes: Any) -> Receipt:
        """Take the next step of the count, unless another process has.

        Raises `Conflict` for a process that was taken for dead and has been replaced.
        """
        changes |= {"updated_at": time.time(), "sequence": receipt.sequence + 1}
        is_next = self._table.update(
            _key(user, receipt.receipt_id), changes, only_if={"sequence": receipt.sequence}
        )
        if not is_next:
            raise Conflict(
                f"another process goes on with the deletion {receipt.receipt_id}",
                fix="leave it to that one",
            )
        return replace(receipt, **changes)

    def finish(self, user: str, receipt_id: str, stays: list[str]) -> None:
        """The project is gone."""
        now = time.time()
        self.note(
            user,
            receipt_id,
            finished_at=now,
            expires_at=int(now + KEPT_SECONDS),  # the table's time to live
            stays=stays,
            failure={},
            progress=1.0,
            message="deleted",
        )


def new_receipt_id() -> str:
    """Sorts by time, says nothing of the project."""
    return f"{time.time() * 1_000:013.0f}-{secrets.token_hex(4)}"


def _key(user: str, receipt_id: str) -> Key:
    return f"USER#{user}", f"RECEIPT#{identifier(receipt_id, 'receipt')}"


def _receipt(item: dict[str, Any]) -> Receipt:
    return Receipt(**{f.name: item[f.name] for f in fields(Receipt) if f.name in item})
