"""Tables on this machine: what they are, and what is said of others."""

from pathlib import Path

import pytest

from contracts.errors import DataProblem, LimitExceeded, NotFound
from contracts.manifest import Kind, Split
from deployments.text_files import holds_text, read_text_files
from tests.deployments.pictures import write_classes
from tests.texts import write_table


def test_one_table(tmp_path: Path) -> None:
    found = read_text_files(write_table(tmp_path / "rows.csv", 5))
    assert (found.kind, found.classes, len(found.files)) == (Kind.TEXT, (), 1)
    file = found.files[0].announced()
    assert (file.class_name, file.content_type, file.kind) == ("", "text/csv", Kind.TEXT)
    assert found.columns[0].as_dict()["label"] == "label"


def test_train_and_test_tables_are_a_given_split(tmp_path: Path) -> None:
    write_table(tmp_path / "trec_train.csv", 5)
    write_table(tmp_path / "trec-test.csv", 5, seed=1)
    found = {file.name: file.split for file in read_text_files(tmp_path).files}
    assert found == {"trec-test.csv": Split.TEST, "trec_train.csv": Split.TRAIN}


def test_one_file_a_class(tmp_path: Path) -> None:
    (tmp_path / "yes.txt").write_text("sure\nof course\n")
    (tmp_path / "no.csv").write_text("text\nnever\n")
    (tmp_path / "notes.md").write_text("# not for training")
    found = read_text_files(tmp_path)
    assert [(file.name, file.class_name) for file in found.files] == [
        ("no.csv", "no"),
        ("yes.txt", "yes"),
    ]
    assert [skipped.name for skipped in found.skipped] == ["notes.md"]


def test_columns_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,c\nlong text here,1,x\nanother one,2,y\nand more,3,x\n")
    found = read_text_files(path, None, "a", "c")
    assert found.files[0].announced().label_column == "c"
    with pytest.raises(DataProblem, match="'colour' is none of the columns"):
        read_text_files(path, None, "a", "colour")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\x03\x04 a workbook", "'rows.csv': this is an Excel"),
        (b"\x00\x01\x02", "zero bytes"),
        (b"", "no text"),
        (b"only one column\nof words\n", "no column of labels"),
    ],
)
def test_what_is_no_table_is_told(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "rows.csv").write_bytes(data)
    with pytest.raises(DataProblem, match=said) as problem:
        read_text_files(tmp_path / "rows.csv")
    assert problem.value.fix


def test_too_large_and_absent_files_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXEMPLAR_LIMIT_MAX_TABLE_BYTES", "50")
    with pytest.raises(LimitExceeded, match="the limit is 50"):
        read_text_files(write_table(tmp_path / "rows.csv", 5))
    with pytest.raises(NotFound, match="does not exist"):
        read_text_files(tmp_path / "none.csv")


def test_folders_of_pictures_hold_no_text(tmp_path: Path) -> None:
    pictures = write_classes(tmp_path / "pictures", 2)
    (pictures / "manifest.csv").write_text("path,split\n")
    assert not holds_text(pictures)
    assert not holds_text(tmp_path / "none")
    assert not holds_text(tmp_path)
    assert holds_text(write_table(tmp_path / "rows.csv", 5))
