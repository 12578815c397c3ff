"""Tables of labelled text: which column is what, and every row with its line.

The API looks at a table's beginning to tell the uploader how it will be read; `ingest` reads all of
it in the same way.
"""

import codecs
import csv
import io
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TextIO

from contracts.errors import DataProblem

SAMPLE_BYTES: Final = 65_536
MAX_LINE_CHARACTERS: Final = 2**20
_MAX_BLANK: Final = 1_000_000  # lines; each takes time although it is no row
_SAMPLE_ROWS: Final = 500
_CSV, _TSV, _LINES = "text/csv", "text/tab-separated-values", "text/plain"
TABLE_TYPES: Final = (_CSV, _TSV, _LINES)  # a table, a table, and one text on each line
_DELIMITERS: Final = {_CSV: ",;\t|", _TSV: "\t,;|", _LINES: ""}
_SPOKEN: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", "": "none"}
_TEXT_NAMES: Final = (
    *("text", "sentence", "message", "content", "question", "review", "body", "comment"),
    *("utterance", "tweet", "sms", "document", "description", "query", "input", "title"),
)
_LABEL_NAMES: Final = (
    *("label", "class", "category", "target", "intent", "sentiment", "topic", "tag", "output"),
    *("type", "y", "stars", "rating"),
)
_SPLIT_NAMES: Final = ("split", "partition", "subset")
_TEST: Final = frozenset({"test", "testing"})
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What people name .csv although it is something else.
_LOOKALIKES: Final = (
    (b"PK\x03\x04", "an Excel workbook or a zip archive", "save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "save the sheet as CSV"),
    (b"%PDF", "a PDF document", "copy its table into a sheet and save it as CSV"),
    (b"PAR1", "a Parquet file", "write it as CSV"),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
)
_FORMULA: Final = "=@\t"
_FORM_FIX: Final = "save it as CSV with a header such as text,label"


@dataclass(frozen=True, slots=True)
class Columns:
    """How a table is read; columns count from 0."""

    delimiter: str  # empty where every line is one text
    text: int
    label: int | None  # None where the whole file is of one class
    has_header: bool
    encoding: str = "utf-8"
    split: int | None = None
    names: tuple[str, ...] = ()  # of the header

    def as_dict(self) -> dict[str, Any]:
        """For the uploader to confirm."""
        return {
            "text": self._name(self.text),
            "label": None if self.label is None else self._name(self.label),
            "split": None if self.split is None else self._name(self.split),
            "delimiter": _SPOKEN[self.delimiter],
            "header": self.has_header,
            "encoding": self.encoding,
        }

    def _name(self, index: int) -> str:
        return self.names[index] if index < len(self.names) else f"column {index + 1}"


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it stands; `problem` says why it cannot be used."""

    line: int  # on which it begins, from 1
    text: str
    label: str = ""
    is_test: bool | None = None  # None where the table does not say
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Hints:
    """What the uploader said about a table."""

    content_type: str = _CSV
    has_class: bool = False  # every row is of one class, so there is no label column
    text_column: str = ""  # a header's name, or a number from 1
    label_column: str = ""


def encoding_of(sample: bytes, *, is_whole: bool = False) -> str:
    """Name the encoding of a table by its beginning, as well as that tells.

    Raises `DataProblem` for what is no text at all.
    """
    for start, what, fix in _LOOKALIKES:
        if sample.startswith(start):
            raise DataProblem(f"this is {what}, no table of text", fix=fix)
    for mark, name in _BOMS:
        if sample.startswith(mark):
            return name
    if b"\0" in sample:
        raise DataProblem("this is no text: it holds zero bytes", fix=_FORM_FIX)
    controls = sum(sample.count(bytes([code])) for code in (*range(1, 9), *range(14, 32)))
    if controls > 0.05 * max(len(sample), 1):
        raise DataProblem("this is no text: it holds control characters", fix=_FORM_FIX)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=is_whole)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def guess_columns(sample: bytes, hints: Hints, encoding: str, *, is_whole: bool = False) -> Columns:
    """Find delimiter, header and columns in a table's beginning of at most `SAMPLE_BYTES`.

    Raises `DataProblem` where there is no text and label to be found, with what to do.
    """
    text = codecs.getincrementaldecoder(encoding)("replace").decode(sample, final=is_whole)
    lines = list(io.StringIO(text, newline=""))
    if not is_whole and lines:
        if len(lines) == 1:
            raise DataProblem(
                f"the first line has more than {len(text):,} characters: is this a table?",
                fix=_FORM_FIX,
            )
        lines.pop()  # cut off in its middle
    if not any(line.strip() for line in lines):
        raise DataProblem("the file holds no text", fix=_FORM_FIX)
    if hints.content_type == _LINES:
        if not hints.has_class:
            raise DataProblem(
                "a file of plain lines says nothing about their labels",
                fix="give its class, or use a table with the columns text and label",
            )
        return Columns("", 0, None, has_header=False, encoding=encoding)
    delimiter = _delimiter(lines, _DELIMITERS[hints.content_type])
    rows = [row for row in _parsed(lines, delimiter) if any(cell.strip() for cell in row)]
    if not rows:
        raise DataProblem("no row can be read: look at the quotes", fix=_FORM_FIX)
    return _columns(rows[:_SAMPLE_ROWS], delimiter, hints, encoding)


def read_rows(stream: TextIO, columns: Columns) -> Iterator[Row]:
    """Yield every row but the header; a row that cannot be used has its `problem`.

    `stream` must be opened with `newline=""` and, so that wrongly encoded rows are told from the
    others, `errors="surrogateescape"`. Raises `DataProblem` for a line that no table has.
    """
    if not columns.delimiter:
        for number, text in enumerate(_lines(stream), 1):
            yield _checked(number, text.strip(), "", None)
        return
    reader = csv.reader(_lines(stream), delimiter=columns.delimiter)
    is_header, blank = columns.has_header, 0
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(line, "", problem=f"the row cannot be read ({error}): look at its quotes")
            continue
        if is_header or not cells:
            is_header, blank = is_header and not cells, blank + 1
            if blank > _MAX_BLANK:
                raise DataProblem(
                    f"more than {_MAX_BLANK:,} lines are empty: is this a table?", fix=_FORM_FIX
                )
            continue
        yield _row(line, cells, columns)


def label_problem(label: str) -> str:
    """Why a label may not be one; spreadsheets would run it as a formula. Empty if it may."""
    is_signed = label[:1] in {"+", "-"} and not label[1:].replace(".", "", 1).isdigit()
    if label[:1] in set(_FORMULA) or (is_signed and any(c in label for c in "(=|!")):
        return f"the label {label[:40]!r} begins like a spreadsheet's formula: rename it"
    return ""


def _row(line: int, cells: Sequence[str], columns: Columns) -> Row:
    needed = max(columns.text, columns.label or 0)
    if len(cells) <= needed:
        return Row(
            line,
            cells[columns.text].strip() if columns.text < len(cells) else "",
            problem=f"the row has {len(cells)} of {needed + 1} columns: "
            "put quotes around texts that hold the delimiter or line breaks",
        )
    label = "" if columns.label is None else cells[columns.label].strip()
    split = ""
    if columns.split is not None and columns.split < len(cells):
        split = cells[columns.split].strip().casefold()
    return _checked(line, cells[columns.text].strip(), label, split in _TEST if split else None)


def _checked(line: int, text: str, label: str, is_test: bool | None) -> Row:
    text = text.replace("\0", "")
    if any("\udc80" <= c <= "\udcff" for c in text + label):
        plain = text.encode("utf-8", "replace").decode()
        return Row(
            line,
            plain,
            problem="the row is encoded otherwise than the rest of the file: "
            "save the whole file as UTF-8",
        )
    return Row(line, text, label, is_test)


def _lines(stream: TextIO) -> Iterator[str]:
    number = 0
    while line := stream.readline(MAX_LINE_CHARACTERS + 1):
        number += 1
        if len(line) > MAX_LINE_CHARACTERS:
            raise DataProblem(
                f"line {number:,} has more than {MAX_LINE_CHARACTERS:,} characters: "
                "is this a table?",
                fix=_FORM_FIX,
            )
        yield line


def _parsed(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    reader, rows = csv.reader(lines, delimiter=delimiter), []
    while True:
        try:
            rows.append(next(reader))
        except StopIteration:
            return rows
        except csv.Error:
            continue


def _delimiter(lines: Sequence[str], candidates: str) -> str:
    """The one that cuts most rows into the same number of columns, two or more."""
    best, best_share = candidates[0], 0.0
    for delimiter in candidates:
        rows = [row for row in islice(_parsed(lines, delimiter), _SAMPLE_ROWS) if row]
        counts = Counter(len(row) for row in rows if len(row) > 1)
        share = counts.most_common(1)[0][1] / len(rows) if counts else 0.0
        if share > best_share + 0.05:  # an earlier candidate is the likelier one
            best, best_share = delimiter, share
    return best


def _columns(rows: Sequence[Sequence[str]], delimiter: str, hints: Hints, encoding: str) -> Columns:
    head = [cell.strip().lstrip("\ufeff") for cell in rows[0]]
    names = [cell.casefold() for cell in head]
    body = [row for row in rows[1:] if len(row) == len(head)] or list(rows[:1])
    asked = (hints.text_column, hints.label_column)
    is_named = any(name in (*_TEXT_NAMES, *_LABEL_NAMES) for name in names)
    is_named |= any(name and name.casefold() in names for name in asked)
    text = _asked(hints.text_column, head, "text_column")
    label = None if hints.has_class else _asked(hints.label_column, head, "label_column")
    split = next((names.index(name) for name in _SPLIT_NAMES if name in names), None)
    free = [i for i in range(len(head)) if i not in {text, label, split}]
    if not hints.has_class and label is None:
        label = _label_column(names, body, [i for i in free if i != text], is_named)
        free = [i for i in free if i != label]
    if text is None:
        text = _text_column(names, body, free)
    if text is None or (label is None and not hints.has_class):
        raise DataProblem(
            f"no text and label are found in the columns {', '.join(map(repr, head[:10]))[:300]}",
            fix="use a header such as text,label, or name the columns "
            "(text_column and label_column)",
        )
    has_header = is_named or (label is not None and _looks_like_header(rows, label))
    return Columns(
        delimiter,
        text,
        label,
        has_header,
        encoding,
        split if has_header else None,
        tuple(name[:64] for name in head) if has_header else (),
    )


def _asked(column: str, head: Sequence[str], option: str) -> int | None:
    """The column that the uploader named, by its name or its number."""
    if not column:
        return None
    for index, name in enumerate(head):
        if name.casefold() == column.casefold():
            return index
    if column.isdecimal() and 1 <= int(column) <= len(head):  # '²' is a digit, too
        return int(column) - 1
    raise DataProblem(
        f"{option} {column[:64]!r} is none of the columns {', '.join(map(repr, head[:10]))[:300]}",
        fix="give a column's name or its number, counted from 1",
    )


def _label_column(
    names: Sequence[str], body: Sequence[Sequence[str]], free: Sequence[int], is_named: bool
) -> int | None:
    """By its name; else the one with the fewest different values, short ones that repeat."""
    for name in _LABEL_NAMES if is_named else ():
        for index in free:
            if names[index] == name:
                return index
    candidates = []
    for index in free:
        values = [row[index].strip() for row in body]
        different = len(set(values))
        is_short = statistics.fmean(len(value) for value in values) <= 64
        if is_short and (different <= max(0.5 * len(values), 2)):
            candidates.append((different < 2, different, index))
    return min(candidates)[2] if candidates else None


def _text_column(
    names: Sequence[str], body: Sequence[Sequence[str]], free: Sequence[int]
) -> int | None:
    """By its name; else the one with the longest values."""
    for name in _TEXT_NAMES:
        for index in free:
            if names[index] == name:
                return index
    if not free:
        return None
    return max(free, key=lambda index: sum(len(row[index]) for row in body))


def _looks_like_header(rows: Sequence[Sequence[str]], label: int) -> bool:
    """Whether the first row's label is no label: it never comes again, and the others do."""
    others = [row[label].strip() for row in rows[1:] if label < len(row)]
    first = rows[0][label].strip()
    return len(others) >= 4 and first not in others and len(set(others)) <= 0.5 * len(others)
