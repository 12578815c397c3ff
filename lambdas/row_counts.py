"""How many texts of which label small tables hold: what is lacking is told before a training."""

import io
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

from contracts.errors import DataProblem
from contracts.limits import Limits
from contracts.requests import AnnouncedFile
from contracts.tables import Columns, read_rows

Texts = dict[str, set[int]]  # hashes of the different texts, by label

_DETAILS = 50
_SHOWN = 100


def texts_of(file: AnnouncedFile, data: bytes, columns: Columns) -> Texts:
    """The usable rows of a whole table."""
    found: Texts = defaultdict(set)
    stream = io.TextIOWrapper(
        io.BytesIO(data), encoding=columns.encoding, errors="surrogateescape", newline=""
    )
    for row in read_rows(stream, columns):
        label = unicodedata.normalize("NFC", file.class_name or row.label).strip()
        if label and row.text and not row.problem:
            found[label].add(hash(row.text))
    return found


def counts_of(texts: Texts) -> dict[str, int]:
    """How many different texts each label has, of the hundred most frequent."""
    counts = sorted(((label, len(found)) for label, found in texts.items()), key=lambda c: -c[1])
    return dict(counts[:_SHOWN])


def check_row_counts(tables: Iterable[Texts], limits: Limits) -> None:
    """Raise `DataProblem` where a class has too few different texts; near copies come out later."""
    texts: Texts = defaultdict(set)
    for table in tables:
        for label, found in table.items():
            texts[label] |= found
    needed = limits.min_rows_per_class
    if len(texts) < limits.min_classes:
        named = " and ".join(map(repr, texts)) or "none"
        raise DataProblem(
            f"at least {limits.min_classes} different labels are needed, there is {named}",
            fix="add rows of another class, or name the right column",
        )
    lacking = [
        f"class {label!r} needs {needed - len(found)} more "
        f"{'row' if needed - len(found) == 1 else 'rows'} ({needed} needed, {len(found)} different)"
        for label, found in sorted(texts.items())
        if len(found) < needed
    ]
    if lacking:
        raise DataProblem(
            lacking[0] if len(lacking) == 1 else f"{len(lacking)} classes need more rows",
            fix="add the missing rows and train again, or train on fewer with min_per_class",
            details=lacking[:_DETAILS],
        )
