"""A zip is a function of names and contents, and holds no name that leaves its folder."""

import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.archive import file_sha256, write_zip
from contracts.errors import InvalidName


def test_same_content_same_hash_whatever_the_order_clock_and_mode(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(os.urandom(3 * 2**20))
    first = write_zip([("b/model.onnx", file), ("a.py", b"x = 1\n")], tmp_path / "1.zip")
    file.chmod(0o600)
    os.utime(file, (1, 1))
    second = write_zip([("a.py", b"x = 1\n"), ("b/model.onnx", file)], tmp_path / "2.zip")
    assert first == second == file_sha256(tmp_path / "2.zip")
    with zipfile.ZipFile(tmp_path / "1.zip") as archive:
        assert archive.namelist() == ["a.py", "b/model.onnx"]
        assert archive.read("b/model.onnx") == file.read_bytes()
        assert {info.external_attr >> 16 for info in archive.infolist()} == {0o100644}


def test_bytes_and_file_of_the_same_content_are_the_same_entry(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"same" * 1000)
    one = write_zip([("a", file)], tmp_path / "1.zip")
    assert write_zip([("a", b"same" * 1000)], tmp_path / "2.zip") == one


@pytest.mark.parametrize(
    "name",
    ["", "/etc/passwd", "../x", "a/../../x", "a/./b", "a//b", "a/", "a\\b", "C:/x", "a\n", "a\0b"],
)
def test_hostile_names_are_refused_and_nothing_is_left(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidName, match="archive entry"):
        write_zip([("ok.py", b""), (name, b"")], tmp_path / "out" / "x.zip")
    assert not (tmp_path / "out").exists()


def test_duplicates_and_a_file_that_is_also_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidName, match="twice"):
        write_zip([("a", b"1"), ("a", b"2")], tmp_path / "x.zip")
    with pytest.raises(InvalidName, match="folder"):
        write_zip([("a", b"1"), ("a/b", b"2")], tmp_path / "x.zip")


def test_a_failed_write_keeps_the_old_zip_and_leaves_no_part(tmp_path: Path) -> None:
    target = tmp_path / "x.zip"
    before = write_zip([("a", b"1")], target)
    with pytest.raises(FileNotFoundError):
        write_zip([("a", b"2"), ("b", tmp_path / "absent")], target)
    assert file_sha256(target) == before
    assert list(tmp_path.iterdir()) == [target]


@given(st.dictionaries(st.from_regex(r"[a-z0-9_]{1,8}\.py", fullmatch=True), st.binary()))
def test_what_goes_in_comes_out(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    target = tmp_path_factory.mktemp("zip") / "x.zip"
    write_zip(files.items(), target)
    with zipfile.ZipFile(target) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files
