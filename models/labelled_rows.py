"""From tables of labelled text to examples: every row is kept, with what is wrong with it."""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from contracts.errors import DataProblem, InvalidName, LimitExceeded
from contracts.identity import class_name
from contracts.limits import Limits
from contracts.manifest import UNLABELLED, Example, Flag, Split
from contracts.requests import AnnouncedFile
from contracts.tables import SAMPLE_BYTES, Columns, Row, guess_columns, label_problem, read_rows
from models.encodings import encoding_of_file

_NAMED: Final = 20
_NOTE_CHARACTERS: Final = 200


@dataclass(slots=True)
class LabelledRows:
    """All rows of an upload in the order of its files; `texts` is by content hash."""

    classes: tuple[str, ...]
    examples: list[Example] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Table:
    file: AnnouncedFile
    columns: Columns
    rows: list[Row]
    right: dict[str, str] = field(default_factory=dict)  # labels that outdo this table's, by text

    def label(self, row: Row) -> str:
        return self.correction(row) or self.given(row)

    def given(self, row: Row) -> str:
        return self.file.class_name or row.label

    def correction(self, row: Row) -> str:
        return self.right.get(_normal(row.text), "") if self.right and not row.problem else ""


def read_labelled_rows(
    files: Sequence[tuple[AnnouncedFile, Path]], classes: Sequence[str], limits: Limits
) -> LabelledRows:
    """Read every table. Without `classes` they are those that the labels name, in their order.

    Raises `DataProblem` for a file that is no table, for labels that cannot be classes, and where
    the labels are fewer than two or more than the limits allow.
    """
    tables, rows = [], 0
    for file, path in files:
        tables.append(_read(file, path, limits.max_rows - rows))
        rows += len(tables[-1].rows)
    _correct(tables)
    found = LabelledRows(tuple(classes) or _classes(tables, limits))
    indices = {name: index for index, name in enumerate(found.classes)}
    for table in tables:
        for row in table.rows:
            text = _normal(row.text)
            example = _example(table, row, text, indices, limits)
            found.examples.append(example)
            if not example.flags:
                found.texts[example.sha256] = text
    return found


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _correct(tables: Sequence[_Table]) -> None:
    """Let feedback's labels win over those of the same texts in other tables.

    Such a text stays the one row that it was, with its line and split; two rows under two labels
    would both be set aside.
    """
    feedback = [table for table in tables if table.file.is_feedback]
    rows = (row for table in feedback for row in table.rows if not row.problem)
    right = {_normal(row.text): row.label for row in rows}
    if not right:
        return
    known: set[str] = set()
    for table in tables:
        if not table.file.is_feedback:
            table.right = right
            known |= right.keys() & {_normal(row.text) for row in table.rows if not row.problem}
    for table in feedback:
        table.rows = [row for row in table.rows if _normal(row.text) not in known]


def _read(file: AnnouncedFile, path: Path, rows_left: int) -> _Table:
    try:
        encoding = encoding_of_file(path)
        with path.open("rb") as stream:
            sample = stream.read(SAMPLE_BYTES)
        is_whole = len(sample) == path.stat().st_size
        columns = guess_columns(sample, file.hints, encoding, is_whole=is_whole)
        rows: list[Row] = []
        with path.open(encoding=encoding, errors="surrogateescape", newline="") as lines:
            for row in read_rows(lines, columns):
                if len(rows) == rows_left:
                    raise LimitExceeded(
                        f"the tables have more rows than can be read ({rows_left:,} were left)",
                        fix="train on fewer rows",
                    )
                rows.append(row)
    except (DataProblem, LimitExceeded) as error:
        raise type(error)(f"{file.name!r}: {error.message}", fix=error.fix) from error
    except UnicodeError as error:  # of UTF-16 and the like, whose errors cannot be carried along
        raise DataProblem(
            f"{file.name!r} is not {encoding} throughout: {error}", fix="save it as UTF-8"
        ) from error
    return _Table(file, columns, rows)


def _classes(tables: Iterable[_Table], limits: Limits) -> tuple[str, ...]:
    """The different labels that may be classes, sorted."""
    counts: Counter[str] = Counter()
    for table in tables:
        if table.file.class_name and not table.right:
            counts[table.file.class_name] += len(table.rows)
        else:
            labels = (table.label(row) for row in table.rows if not row.problem)
            counts.update(label for label in labels if label)
    # Not named one by one: a column of a million different values is no column of labels.
    if len(counts) > limits.max_classes:
        some = ", ".join(repr(label[:40]) for label, _ in counts.most_common(3))
        raise DataProblem(
            f"the labels name {len(counts):,} different classes, at most "
            f"{limits.max_classes:,} are possible (such as {some})",
            fix="is it the right column? name it with label_column",
        )
    problems = [problem for label in counts if (problem := _class_problem(label))]
    if problems:
        raise DataProblem(
            problems[0], fix="rename the label in the table", details=problems[:_NAMED]
        )
    names = sorted({class_name(label) for label in counts})
    if len(names) < limits.min_classes:
        raise DataProblem(
            f"all rows have the label {names[0]!r}, at least two different labels are needed"
            if names
            else "no row has a label",
            fix="add rows of another class, or name the right column with label_column",
        )
    return tuple(names)


def _class_problem(label: str) -> str:
    if problem := label_problem(label):
        return problem
    try:
        class_name(label)
    except InvalidName as error:
        return error.message
    return ""


def _example(
    table: _Table, row: Row, text: str, indices: dict[str, int], limits: Limits
) -> Example:
    data = text.encode("utf-8", "replace")
    label, given = table.label(row), table.given(row)
    index = indices.get(_normal(label), UNLABELLED)
    flag, note = _problem(row, text, label, index, limits)
    if label != given and not note:
        note = f"its label {given[:64]!r} was corrected"
    split = table.file.split
    if row.is_test is not None:
        split = Split.TEST if row.is_test else Split.TRAIN
    return Example(
        sha256=hashlib.sha256(data).hexdigest(),
        class_index=index,
        source=f"{table.file.name}:{row.line}",
        size_bytes=len(data),
        requested_split=split,
        flags=(flag,) if flag else (),
        note=note[:_NOTE_CHARACTERS],
        is_feedback=table.file.is_feedback,
    )


def _problem(
    row: Row, text: str, label: str, index: int, limits: Limits
) -> tuple[Flag | None, str]:
    if row.problem:
        return Flag.UNREADABLE, row.problem
    if not text:
        return Flag.EMPTY, "the row has no text"
    if len(text) > limits.max_text_characters:
        return (
            Flag.TOO_LONG,
            f"the text has {len(text):,} characters, at most {limits.max_text_characters:,} "
            "are learnt from: shorten it",
        )
    if not label:
        return Flag.UNKNOWN_CLASS, "the row has no label"
    if index == UNLABELLED:
        return Flag.UNKNOWN_CLASS, f"the label {label[:64]!r} is none of the project's classes"
    return None, ""
