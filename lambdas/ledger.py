"""What somebody holds of one quota: named amounts and their sum, which no race can pass.

| pk             | sk            | holds                                     |
|----------------|---------------|-------------------------------------------|
| ACCOUNT#{user} | {what}#{name} | an amount, and when it was taken          |
| ACCOUNT#{user} | SUM#{what}    | the sum of all amounts, written with each |
"""

import time
from dataclasses import dataclass
from typing import Any

from contracts.errors import Unavailable
from lambdas.table import Key, Table, Write

_ATTEMPTS = 10
_UNCHANGED = "amount = :seen AND taken_at = :seen_at"


@dataclass(frozen=True, slots=True)
class Entry:
    """One amount under its name."""

    name: str
    amount: int
    taken_at: float


class Ledger:
    """Amounts of one thing that one user holds. Calls may be repeated: a name is held once."""

    def __init__(self, table: Table, user: str, what: str) -> None:
        self._table, self._pk, self._what = table, f"ACCOUNT#{user}", what
        self._sum_key: Key = (self._pk, f"SUM#{what}")

    def take(self, name: str, amount: int, limit: int) -> bool:
        """Hold at least `amount` under this name; False, and nothing taken, beyond the limit."""
        for _ in range(_ATTEMPTS):
            held = self.find(name)
            more = max(amount - (held.amount if held else 0), 0)
            if more and self.taken() + more > limit:
                if self.find(name) != held:
                    continue  # what fills the limit may be the same call, made a moment before
                return False
            # Others take meanwhile, so the condition on the sum has the last word.
            if self._change(name, held, more, room=limit - more):
                return True
        raise Unavailable(f"{name!r} is changed by many calls at once", fix="try again")

    def settle(self, name: str, seen: Entry | None, amount: int) -> bool:
        """Hold exactly `amount`; False, and nothing changed, where `seen` is no longer so."""
        return self._change(name, seen, amount - (seen.amount if seen else 0))

    def give_back(self, seen: Entry) -> bool:
        """Hold it no more; False, and nothing changed, where it was taken again since."""
        return self._table.transact(
            Write(self._key(seen.name), condition=_UNCHANGED, values=_values(seen)),
            Write(self._sum_key, "ADD taken :less", values={":less": -seen.amount}),
        )

    def find(self, name: str) -> Entry | None:
        """What is held under a name."""
        item = self._table.get(self._key(name))
        return _entry(name, item) if item else None

    def entries(self, prefix: str = "") -> list[Entry]:
        """Everything held under names that begin so."""
        items = self._table.query(self._pk, f"{self._what}#{prefix}")
        return [_entry(item["sk"].removeprefix(f"{self._what}#"), item) for item in items]

    def taken(self) -> int:
        """The sum of all amounts."""
        item = self._table.get(self._sum_key)
        return int(item["taken"]) if item else 0

    def _change(self, name: str, seen: Entry | None, more: int, room: int | None = None) -> bool:
        """Write an amount and the sum together, where the sum was at most `room` before."""
        values = {":amount": (seen.amount if seen else 0) + more, ":now": time.time()}
        writes = [
            Write(
                self._key(name),
                "SET amount = :amount, taken_at = :now",
                _UNCHANGED if seen else "attribute_not_exists(pk)",
                values | (_values(seen) if seen else {}),
            )
        ]
        if more:
            fits = {} if room is None else {":room": room}
            condition = "attribute_not_exists(taken) OR taken <= :room" if fits else ""
            sums = {":more": more} | fits
            writes.append(Write(self._sum_key, "ADD taken :more", condition, sums))
        return self._table.transact(*writes)

    def _key(self, name: str) -> Key:
        return self._pk, f"{self._what}#{name}"


def _values(seen: Entry) -> dict[str, Any]:
    return {":seen": seen.amount, ":seen_at": seen.taken_at}


def _entry(name: str, item: dict[str, Any]) -> Entry:
    return Entry(name, int(item["amount"]), float(item["taken_at"]))
