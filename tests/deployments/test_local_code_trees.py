"""Unpacked code: one copy, read-only, gone with its last user, and never outside its folder."""

import io
import stat
import zipfile
from pathlib import Path

import pytest

from deployments.local.code_trees import CodeTrees


def archive(files: dict[str, tuple[bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, (content, mode) in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            opened.writestr(entry, content)
    return buffer.getvalue()


@pytest.fixture
def trees(tmp_path: Path) -> CodeTrees:
    return CodeTrees(tmp_path / "code")


def test_the_same_content_is_unpacked_once_until_its_last_user_leaves(trees: CodeTrees) -> None:
    content = archive({"pkg/app.py": (b"x = 1", 0o644)})
    first, second = trees.lease(content), trees.lease(bytes(bytearray(content)))
    assert first == second
    trees.release(first)
    assert (first / "pkg" / "app.py").read_text() == "x = 1"
    trees.release(first)
    assert not first.exists()
    assert (trees.lease(content) / "pkg" / "app.py").exists()


def test_folders_are_read_only_except_for_compiled_modules(trees: CodeTrees) -> None:
    tree = trees.lease(archive({"pkg/app.py": (b"", 0o644), "run.sh": (b"", 0o755)}))
    assert not stat.S_IMODE((tree / "pkg").stat().st_mode) & 0o222
    assert stat.S_IMODE((tree / "pkg" / "__pycache__").stat().st_mode) & 0o200
    assert stat.S_IMODE((tree / "run.sh").stat().st_mode) & 0o100


@pytest.mark.parametrize("name", ["../../outside.py", "/outside.py", "a/../../../outside.py"])
def test_nothing_is_written_outside(trees: CodeTrees, tmp_path: Path, name: str) -> None:
    tree = trees.lease(archive({name: (b"", 0o644)}))
    written = list(tmp_path.rglob("outside.py"))
    assert written
    assert all(path.is_relative_to(tree) for path in written)
    assert not Path("/outside.py").exists()


def test_an_empty_archive_is_allowed(trees: CodeTrees) -> None:
    assert trees.lease(archive({})).is_dir()
