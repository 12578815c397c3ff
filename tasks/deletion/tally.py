"""Removing in batches that are written down beforehand, so that a kill neither loses nor repeats a
count.

A batch is noted in the receipt, removed, and counted while the note goes: one write. Whoever goes
on after a kill removes the noted batch once more, which harms nothing, and counts it then.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from contracts.errors import ExemplarError
from contracts.identity import Project
from contracts.receipt import Receipt, with_counts
from lambdas.receipts import Receipts
from tasks import clients

# An item of the table may have 400 KB.
_BATCH_IDS: Final = 1_000
_BATCH_BYTES: Final = 150_000


@dataclass(frozen=True, slots=True)
class Deletion:
    """Which project goes. A late one looks for what came after all had gone."""

    project: Project
    receipt_id: str
    is_late: bool = False

    def is_due(self) -> bool:
        """Whether what bears the project's name is to go: never that of one made since."""
        record = clients.state().find_project(self.project)
        if self.is_late:
            return record is None
        return record is not None and record.deletion == self.receipt_id

    def receipt(self) -> Receipt:
        """As stored. Raises `NotFound`."""
        return receipts().of_project(self.project, self.receipt_id)


@dataclass(frozen=True, slots=True)
class Batch:
    """Things that exist, by ids that `Part.remove` understands, and what they count as."""

    ids: tuple[str, ...]
    amounts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of thing that a project leaves somewhere.

    `find` yields what exists; `remove` may be told of what is gone already. One that `is_exact`
    cannot remove anything of a project of the same name that was made since.
    """

    name: str
    says: str
    find: Callable[[Deletion], Iterator[Batch]]
    remove: Callable[[Deletion, Sequence[str]], None]
    is_exact: bool = False


def receipts() -> Receipts:
    """In the stack's table."""
    return Receipts(clients.state().table)


def sweep(deletion: Deletion, part: Part) -> int:
    """Remove all there is of one part; return how much that was."""
    receipt, removed = deletion.receipt(), 0
    last: tuple[str, ...] = ()
    for batch in part.find(deletion):
        if batch.ids == last:
            raise ExemplarError(
                f"{part.says} changes nothing: {batch.ids[0]!r} is still there",
                fix="see whether a policy or a lock protects it, then delete the project again",
            )
        # Looked at after the batch was found: all of it is older than a project made since.
        if not deletion.is_due():
            break
        receipt = _remove(deletion, part, batch, receipt)
        removed, last = removed + len(batch.ids), batch.ids
    return removed


def settle(deletion: Deletion, parts: Sequence[Part]) -> None:
    """Finish the batch that a killed process was at. `parts` are all there are."""
    receipt = deletion.receipt()
    if not receipt.pending:
        return
    part = next(part for part in parts if part.name == receipt.pending["part"])
    batch = Batch(tuple(receipt.pending["ids"]), receipt.pending["amounts"])
    if part.is_exact or deletion.is_due():
        _finish(deletion, part, batch, receipt)
    else:
        receipts().step(deletion.project.user, receipt, pending={})


def _remove(deletion: Deletion, part: Part, batch: Batch, receipt: Receipt) -> Receipt:
    noted = {"part": part.name, "ids": list(batch.ids), "amounts": batch.amounts}
    user = deletion.project.user
    receipt = receipts().step(user, receipt, pending=noted)
    return _finish(deletion, part, batch, receipt)


def _finish(deletion: Deletion, part: Part, batch: Batch, receipt: Receipt) -> Receipt:
    part.remove(deletion, batch.ids)
    counts = with_counts(receipt.counts, batch.amounts)
    return receipts().step(deletion.project.user, receipt, pending={}, counts=counts)


def in_batches(found: Iterable[tuple[str, dict[str, int]]]) -> Iterator[Batch]:
    """Ids with their amounts, as many together as one note may hold."""
    ids: list[str] = []
    amounts: Counter[str] = Counter()
    size = 0
    for one, counts in found:
        length = len(one.encode()) + 8
        if ids and (len(ids) == _BATCH_IDS or size + length > _BATCH_BYTES):
            yield Batch(tuple(ids), dict(amounts))
            ids, amounts, size = [], Counter(), 0
        ids.append(one)
        amounts.update(counts)
        size += length
    if ids:
        yield Batch(tuple(ids), dict(amounts))
