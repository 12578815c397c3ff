"""From tables to examples: every row is kept, with what is wrong with it."""

import hashlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.corrections import Correction, table_file, table_of
from contracts.errors import DataProblem, InvalidRequest, LimitExceeded
from contracts.feedback import text_example
from contracts.limits import Limits
from contracts.manifest import UNLABELLED, Flag, Split
from contracts.requests import AnnouncedFile
from models.encodings import encoding_of_file
from models.labelled_rows import LabelledRows, read_labelled_rows

LIMITS = Limits(max_text_characters=100)


def table(path: Path, data: bytes, label: str = "", **more: object) -> tuple[AnnouncedFile, Path]:
    path.write_bytes(data)
    kind = "text/plain" if path.suffix == ".txt" else "text/csv"
    digest = hashlib.sha256(data).hexdigest()
    return AnnouncedFile(label, path.name, len(data), digest, kind, **more), path  # type: ignore[arg-type]


def read(tmp_path: Path, data: bytes, classes: tuple[str, ...] = ()) -> LabelledRows:
    return read_labelled_rows([table(tmp_path / "t.csv", data)], classes, LIMITS)


def test_every_row_is_an_example_with_its_line(tmp_path: Path) -> None:
    long = "x" * 101
    found = read(
        tmp_path,
        f"text,label\nhello,ham\nwin,spam\n,ham\n{long},spam\nno label,\nhello,ham\n".encode(),
    )
    assert found.classes == ("ham", "spam")
    assert [example.source for example in found.examples] == [f"t.csv:{n}" for n in range(2, 8)]
    assert [example.flags for example in found.examples] == [
        (),
        (),
        (Flag.EMPTY,),
        (Flag.TOO_LONG,),
        (Flag.UNKNOWN_CLASS,),
        (),
    ]
    assert found.examples[4].class_index == UNLABELLED
    assert set(found.texts.values()) == {"hello", "win"}
    assert all(example.note for example in found.examples if example.flags)


def test_given_classes_keep_their_order_and_set_others_aside(tmp_path: Path) -> None:
    found = read(tmp_path, b"text,label\na,ham\nb,spam\nc,eggs\n", ("spam", "ham"))
    assert found.classes == ("spam", "ham")
    assert [example.class_index for example in found.examples] == [1, 0, UNLABELLED]
    assert "'eggs' is none of the project's classes" in found.examples[2].note


def test_one_file_a_class(tmp_path: Path) -> None:
    files = [
        table(tmp_path / "yes.txt", b"sure\nof course\n\n", "yes"),
        table(tmp_path / "no.csv", b"text\nnever\nno way\n", "no"),
    ]
    found = read_labelled_rows(files, (), LIMITS)
    assert found.classes == ("no", "yes")
    assert [(e.source, e.class_index, e.flags) for e in found.examples] == [
        ("yes.txt:1", 1, ()),
        ("yes.txt:2", 1, ()),
        ("yes.txt:3", 1, (Flag.EMPTY,)),
        ("no.csv:2", 0, ()),
        ("no.csv:3", 0, ()),
    ]


def test_a_file_may_be_a_given_split(tmp_path: Path) -> None:
    files = [
        table(tmp_path / "a.csv", b"text,label\na,x\nb,y\n", split=Split.TRAIN),
        table(tmp_path / "b.csv", b"text,label\nc,x\nd,y\n", split=Split.TEST),
    ]
    found = read_labelled_rows(files, (), LIMITS)
    assert [e.requested_split for e in found.examples] == [Split.TRAIN] * 2 + [Split.TEST] * 2


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"text,label\na,ham\nb,ham\n", "all rows have the label 'ham'"),
        (b"text,label\na,\nb,\n", "no row has a label"),
        (b"text,label\na,=cmd\nb,ham\n", "formula"),
        (b"text,label\na,\xe2\x80\xaeham\nb,spam\n", "invisible character"),
        ("text,label\na,{}\nb,ham\n".format("x" * 65).encode(), "64"),
        (b"PK\x03\x04" * 20, "'t.csv': this is an Excel"),
    ],
)
def test_a_bad_table_is_told_by_name(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(DataProblem, match=said) as problem:
        read(tmp_path, data)
    assert problem.value.fix


def test_a_million_labels_are_no_classes(tmp_path: Path) -> None:
    data = "text,label\n" + "".join(f"text {n},label {n}\n" for n in range(3_000))
    with pytest.raises(DataProblem, match="name 3,000 different classes, at most 1,000") as problem:
        read(tmp_path, data.encode())
    assert "label_column" in problem.value.fix


def test_there_is_an_end_to_rows(tmp_path: Path) -> None:
    data = b"text,label\n" + b"a,x\nb,y\n" * 10
    with pytest.raises(LimitExceeded, match="more rows"):
        read_labelled_rows([table(tmp_path / "t.csv", data)], (), Limits(max_rows=10))


GERMAN = "text,label\n" + "".join(f"Grüße aus Köln {n},{'ab'[n % 2]}\n" for n in range(50))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings_are_detected(tmp_path: Path, encoding: str) -> None:
    found = read(tmp_path, GERMAN.encode(encoding))
    assert len(found.texts) == 50
    assert "Grüße aus Köln 7" in found.texts.values()


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("Привет, как дела сегодня", "cp1251"), ("今日は良い天気ですね", "shift_jis")],
)
def test_other_scripts_are_detected(tmp_path: Path, text: str, encoding: str) -> None:
    lines = "".join(f"{text} {n};{'ab'[n % 2]}\n" for n in range(40))
    path = tmp_path / "t.csv"
    path.write_bytes(lines.encode(encoding))
    assert path.read_bytes().decode(encoding_of_file(path)) == lines


def test_rows_of_another_encoding_are_set_aside(tmp_path: Path) -> None:
    mixed = GERMAN.encode() + "spät,a\nfrüh,b\n".encode("cp1252")
    found = read(tmp_path, mixed)
    assert len(found.texts) == 50
    assert [e.flags for e in found.examples[50:]] == [(Flag.UNREADABLE,)] * 2
    assert found.examples[50].source == "t.csv:52"


def feedback(tmp_path: Path, *rows: tuple[str, str]) -> tuple[AnnouncedFile, Path]:
    """The rows as they come out of the API and into the upload of a training."""
    kept = [(text_example(text, Limits()), label) for text, label in rows]
    data = table_of(
        Correction(one.sha256, label, len(one.data), text=one.text) for one, label in kept
    )
    path = tmp_path / "feedback.csv"
    path.write_bytes(data)
    return table_file(hashlib.sha256(data).hexdigest(), len(data)), path


def test_a_corrected_row_keeps_its_place_under_its_right_label(tmp_path: Path) -> None:
    files = [
        table(
            tmp_path / "t.csv", b"text,label,split\nhello,spam,test\nwin,spam,train\n,ham,train\n"
        ),
        feedback(tmp_path, ("hello", "ham"), ("new one", "ham"), ("win", "spam")),
    ]
    found = read_labelled_rows(files, (), LIMITS)
    assert found.classes == ("ham", "spam")
    first, second, empty, new = found.examples
    assert (first.source, first.class_index, first.requested_split) == ("t.csv:2", 0, Split.TEST)
    assert (first.note, first.is_feedback) == ("its label 'spam' was corrected", False)
    assert (second.class_index, second.note) == (1, "")
    assert empty.flags == (Flag.EMPTY,)
    assert (new.class_index, new.is_feedback, new.requested_split) == (0, True, None)


def test_a_class_that_no_row_has_any_more_is_none(tmp_path: Path) -> None:
    files = [
        table(tmp_path / "t.csv", b"text,label\na,ham\nb,spam\nc,spma\nd,\n"),
        feedback(tmp_path, ("c", "spam"), ("d", "ham")),
    ]
    found = read_labelled_rows(files, (), LIMITS)
    assert found.classes == ("ham", "spam")
    assert [example.class_index for example in found.examples] == [0, 1, 1, 0]
    assert not any(example.flags for example in found.examples)


def test_files_of_one_class_are_corrected_too(tmp_path: Path) -> None:
    files = [
        table(tmp_path / "yes.txt", b"sure\nnever\n", "yes"),
        table(tmp_path / "no.txt", b"no way\n", "no"),
        feedback(tmp_path, ("never", "no")),
    ]
    found = read_labelled_rows(files, ("yes", "no"), LIMITS)
    assert [example.class_index for example in found.examples] == [0, 1, 1]


# Whatever the API takes comes out of the table as it was, or a label would be of another text.
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=60), st.sampled_from(["ham", "-1", "a,b", '"']), max_size=8
    )
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_texts_survive_the_table(tmp_path: Path, rows: dict[str, str]) -> None:
    taken = {}
    for text, label in rows.items():
        with suppress(InvalidRequest):
            taken[text_example(text, LIMITS).text] = label
    if not taken:
        return
    found = read_labelled_rows(
        [feedback(tmp_path, *taken.items())], ("ham", "-1", "a,b", '"'), Limits()
    )
    assert {found.texts[e.sha256]: found.classes[e.class_index] for e in found.examples} == taken
