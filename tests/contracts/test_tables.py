"""Which column is what, and that every row comes back as it was written."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import DataProblem
from contracts.tables import (
    MAX_LINE_CHARACTERS,
    SAMPLE_BYTES,
    Columns,
    Hints,
    Row,
    encoding_of,
    guess_columns,
    label_problem,
    read_rows,
)


def guess(text: str, **hints: Any) -> dict[str, Any]:
    return guess_columns(text.encode(), Hints(**hints), "utf-8", is_whole=True).as_dict()


def rows(data: bytes, columns: Columns) -> list[Row]:
    stream = io.TextIOWrapper(
        io.BytesIO(data), encoding=columns.encoding, errors="surrogateescape", newline=""
    )
    return list(read_rows(stream, columns))


BODY = "good film,pos\nbad film,neg\nso so,neg\nloved it,pos\nhated it,neg\nmore of it,pos\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("text,label\n" + BODY, ("text", "label", "comma", True)),
        (BODY, ("column 1", "column 2", "comma", False)),
        (
            "v1;v2\nham;hello, you\nspam;win, now\nham;no, no\nham;a, b\nspam;c, d\n",
            "v2 v1 semicolon",
        ),
        ("label\ttext\n1\tfoo, bar\n0\tx, y\n", ("text", "label", "tab", True)),
        (
            "id|Message|Category\n1|hi there|a\n2|well, no|b\n3|so|a\n4|x|b\n",
            "Message Category bar",
        ),
        ("\ufefftext,label\n" + BODY, ("text", "label", "comma", True)),
        ('label,text\na,"two\nlines, and a comma"\nb,one\n', ("text", "label", "comma", True)),
    ],
)
def test_columns_are_found(text: str, found: Any) -> None:
    if isinstance(found, str):
        found = (*found.split(), True)
    columns = guess(text)
    assert (
        columns["text"],
        columns["label"],
        columns["delimiter"],
        columns["header"],
    ) == found


def test_columns_can_be_given_by_name_or_number() -> None:
    text = "text,label,topic\nso it is,x,sea\nnot so,y,land\nwell,z,sea\n"
    assert guess(text)["label"] == "label"
    assert guess(text, label_column="TOPIC")["label"] == "topic"
    assert guess(text, label_column="3")["label"] == "topic"
    assert guess(text, text_column="topic", label_column="label")["text"] == "topic"
    with pytest.raises(DataProblem, match="label_column 'colour' is none of the columns"):
        guess(text, label_column="colour")


@pytest.mark.parametrize("column", ["²", "0", "3", "-1", "1.0", "9" * 128, "\0", "𝟣𝟤"])
def test_a_column_that_is_not_there_is_told(column: str) -> None:
    with pytest.raises(DataProblem, match="none of the columns") as told:
        guess("a,b\n" + BODY, text_column=column)
    assert told.value.fix


def test_a_split_column_is_honoured() -> None:
    data = b"text,label,split\na,x,train\nb,y,test\nc,x,\n"
    columns = guess_columns(data, Hints(), "utf-8", is_whole=True)
    assert [row.is_test for row in rows(data, columns)] == [False, True, None]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no text"),
        ("\n\n  \n", "holds no text"),
        ("just one column\nof some words\nand more\n", "no text and label"),
        ("a,b,c\n1,2,3\n4,5,6\n7,8,9\n1,1,1\n", "no text and label"),
    ],
)
def test_what_is_no_table_is_told(text: str, said: str) -> None:
    with pytest.raises(DataProblem, match=said) as refusal:
        guess(text)
    assert refusal.value.fix


def test_a_first_line_without_an_end_is_told() -> None:
    with pytest.raises(DataProblem, match="the first line has more than"):
        guess_columns(b"x" * SAMPLE_BYTES, Hints(), "utf-8")


def test_plain_lines_need_a_class() -> None:
    columns = guess("one\ntwo\n", content_type="text/plain", has_class=True)
    assert columns["label"] is None
    with pytest.raises(DataProblem, match="nothing about their labels"):
        guess("one\ntwo\n", content_type="text/plain")


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"plain", "utf-8"),
        ("für".encode(), "utf-8"),
        ("für".encode()[:-2], "utf-8"),  # cut inside of a character
        ("für alle".encode("cp1252"), "cp1252"),
        ("\ufefffür".encode(), "utf-8-sig"),
        ("für".encode("utf-16"), "utf-16"),
        ("für".encode("utf-32"), "utf-32"),
    ],
)
def test_encodings_are_told_apart(data: bytes, encoding: str) -> None:
    assert encoding_of(data) == encoding


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\x03\x04" + b"x" * 40, "an Excel workbook or a zip"),
        (b"\xd0\xcf\x11\xe0" + b"x" * 40, "old Excel"),
        (b"%PDF-1.7", "PDF"),
        (b"PAR1", "Parquet"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "zero bytes"),
        (bytes(range(1, 32)) * 20, "control characters"),
    ],
)
def test_a_binary_file_is_no_table(data: bytes, said: str) -> None:
    with pytest.raises(DataProblem, match=said):
        encoding_of(data)


PLAIN = Columns(",", 0, 1, has_header=False)


def test_lines_are_counted_where_rows_begin() -> None:
    data = b'"one\nand more",a\n\n"two",b\nthree,c\n'
    assert [(row.line, row.text, row.label) for row in rows(data, PLAIN)] == [
        (1, "one\nand more", "a"),
        (4, "two", "b"),
        (5, "three", "c"),
    ]


def test_rows_that_cannot_be_used_say_why_and_do_not_stop_the_others() -> None:
    data = "fine,a\nonly one\nf\u00fcr,b\n".encode() + "für,c\n".encode("cp1252") + b"last,d\n"
    found = rows(data, PLAIN)
    assert [row.line for row in found] == [1, 2, 3, 4, 5]
    assert [bool(row.problem) for row in found] == [False, True, False, True, False]
    assert "1 of 2 columns" in found[1].problem
    assert "encoded otherwise" in found[3].problem


def test_a_quote_that_never_ends_costs_its_rows_only() -> None:
    data = b'fine,a\n"never ends,b\n' + b"x,c\n" * 60_000 + b"last,d\n"
    found = rows(data, PLAIN)
    assert any("look at its quotes" in row.problem for row in found)
    assert found[-1].label == "d"


def test_an_endless_line_ends_the_reading() -> None:
    with pytest.raises(DataProblem, match="line 2 has more than"):
        rows(b"fine,a\n" + b"x" * (MAX_LINE_CHARACTERS + 1), PLAIN)


def test_empty_lines_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are no rows, so no limit of rows ends them."""
    monkeypatch.setattr("contracts.tables._MAX_BLANK", 100)
    assert len(rows(b"\n" * 90 + b"a,b\n", PLAIN)) == 1
    with pytest.raises(DataProblem, match="lines are empty"):
        rows(b"\n" * 101, PLAIN)


@pytest.mark.parametrize(
    "label", ["=1+1", "@SUM(A1)", "-2+3|cmd", "+cmd|' /C calc'!A0", "=HYPERLINK()"]
)
def test_formulas_are_no_labels(label: str) -> None:
    assert "formula" in label_problem(label)


@pytest.mark.parametrize("label", ["spam", "-1", "+1", "-0.5", "C++", "n/a", "日本", "very = good"])
def test_odd_labels_are_labels(label: str) -> None:
    assert label_problem(label) == ""


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=20), st.sampled_from(",;\t|"))
def test_what_was_written_is_read(pairs: list[tuple[str, str]], delimiter: str) -> None:
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(pairs)
    found = rows(stream.getvalue().encode(), Columns(delimiter, 0, 1, has_header=False))
    assert [(row.text, row.label) for row in found] == [
        (text.strip(), label.strip()) for text, label in pairs
    ]


@given(st.binary(max_size=400))
def test_nothing_but_a_data_problem_comes_of_any_bytes(data: bytes) -> None:
    try:
        encoding = encoding_of(data, is_whole=True)
        columns = guess_columns(data, Hints(), encoding, is_whole=True)
        found = rows(data, columns)
        assert [row.line for row in found] == sorted({row.line for row in found})
    except (DataProblem, UnicodeDecodeError):
        pass  # the latter of UTF-16, which whoever reads the file tells
