"""Reading labelled text: a table, a folder of tables, or one file for each class."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from contracts.errors import DataProblem, InvalidName, LimitExceeded, NotFound
from contracts.identity import class_name
from contracts.limits import Limits
from contracts.manifest import Kind, Split
from contracts.requests import SOURCE_MAX
from contracts.tables import SAMPLE_BYTES, Columns, Hints, encoding_of, guess_columns
from deployments.folder import (
    TEST_NAMES,
    TRAIN_NAMES,
    VALIDATION_NAMES,
    LabelledFolder,
    LocalFile,
    Skipped,
)

TYPES: Final = {
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".tab": "text/tab-separated-values",
    ".txt": "text/plain",
}
_SPLITS: Final = (TRAIN_NAMES | VALIDATION_NAMES, TEST_NAMES)
_FIX: Final = "give a CSV with a header such as text,label, or a folder with one file per class"


def holds_text(path: Path) -> bool:
    """Whether a path is a file, or a folder with tables and no folders in it."""
    if path.is_file():
        return True
    if not path.is_dir():
        return False
    entries = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
    has_folders = any(entry.is_dir() for entry in entries)
    return not has_folders and any(entry.suffix.lower() in TYPES for entry in entries)


def read_text_files(
    path: Path | str,
    on_progress: Callable[[int, int, int], None] | None = None,
    text_column: str = "",
    label_column: str = "",
) -> LabelledFolder:
    """Look at every table's beginning and hash it; `on_progress(files_done, files, bytes_done)`.

    A file of lines is of the class that its name says, and so is a table without a label column.
    Tables called train and test are a given split.
    Raises `NotFound`, and `DataProblem` for what is no table.
    """
    root = Path(path).expanduser()
    if not root.exists():
        raise NotFound(f"{str(path)!r} does not exist", fix=_FIX)
    skipped: list[Skipped] = []
    paths = [root] if root.is_file() else list(_tables(root, skipped))
    files: list[LocalFile] = []
    columns: list[Columns] = []
    size = 0
    for number, table in enumerate(paths, 1):
        file, found = _read(table, text_column, label_column)
        files.append(file)
        columns.append(found)
        size += file.size_bytes
        if on_progress:
            on_progress(number, len(paths), size)
    _check(path, files)
    return LabelledFolder((), tuple(files), tuple(skipped), Kind.TEXT, tuple(columns))


def _tables(root: Path, skipped: list[Skipped]) -> Iterator[Path]:
    for entry in sorted(root.iterdir()):
        if entry.name.startswith("."):
            skipped.append(Skipped(entry.name, "hidden or made by the system"))
        elif entry.suffix.lower() not in TYPES:
            skipped.append(Skipped(entry.name, f"no table ({', '.join(TYPES)})"))
        elif entry.is_symlink() and not entry.resolve().is_relative_to(root.resolve()):
            skipped.append(Skipped(entry.name, "a link that leaves the folder"))
        else:
            yield entry


def _read(path: Path, text_column: str, label_column: str) -> tuple[LocalFile, Columns]:
    name = path.name.encode("utf-8", "replace").decode()[-SOURCE_MAX:]
    content_type = TYPES.get(path.suffix.lower(), "text/csv")
    try:
        with path.open("rb") as stream:
            sample = stream.read(SAMPLE_BYTES)
            stream.seek(0)
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            size_bytes = stream.tell()
    except OSError as error:
        raise NotFound(f"{name!r} cannot be read: {error.strerror}", fix=_FIX) from error
    largest = Limits.from_environment().max_table_bytes
    if size_bytes > largest:
        raise LimitExceeded(
            f"{name!r} has {size_bytes:,} bytes, the limit is {largest:,}",
            fix="divide it into several files, or train on fewer rows",
        )
    columns, label = _understood(
        path, sample, Hints(content_type, False, text_column, label_column)
    )
    file = LocalFile(
        path=path,
        class_name=label,
        name=name,
        size_bytes=size_bytes,
        sha256=digest,
        content_type=content_type,
        split=_split_of(path),
        text_column=text_column,
        label_column="" if label else label_column,
    )
    return file, columns


def _understood(path: Path, sample: bytes, hints: Hints) -> tuple[Columns, str]:
    """How the table is read, and its class where no column says so."""
    is_whole = len(sample) < SAMPLE_BYTES
    try:
        encoding = encoding_of(sample, is_whole=is_whole)
        if hints.content_type != "text/plain":
            try:
                return guess_columns(sample, hints, encoding, is_whole=is_whole), ""
            except DataProblem:
                if hints.label_column or _split_of(path) is not None:
                    raise
        of_class = Hints(hints.content_type, True, hints.text_column)
        columns = guess_columns(sample, of_class, encoding, is_whole=is_whole)
        return columns, class_name(path.stem)
    except (DataProblem, InvalidName) as error:
        raise DataProblem(f"{path.name!r}: {error.message}", fix=error.fix) from error


def _split_of(path: Path) -> Split | None:
    """What a table's name says of its split, such as `train.csv`."""
    words = path.stem.lower().replace("-", "_").split("_")
    for names, split in zip(_SPLITS, (Split.TRAIN, Split.TEST), strict=True):
        if names & {words[0], words[-1]}:
            return split
    return None


def _check(path: Path | str, files: list[LocalFile]) -> None:
    if not files:
        raise DataProblem(f"{str(path)!r} holds no table", fix=_FIX)
    if len(files) == 1 and files[0].class_name:
        raise DataProblem(
            f"{files[0].name!r} has no column of labels, and there is no other file",
            fix="name the column with --label-column, or give a folder with one file per class",
        )
