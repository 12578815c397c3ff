"""Reading a folder of labelled pictures: one folder per class, or train/ and test/ around them."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import DataProblem, InvalidName, NotFound
from contracts.identity import class_name
from contracts.manifest import Kind, Split
from contracts.picture_type import SNIFF_BYTES, picture_type, reason_against
from contracts.requests import SOURCE_MAX, AnnouncedFile
from contracts.tables import Columns

TRAIN_NAMES = frozenset({"train", "training"})
TEST_NAMES = frozenset({"test", "testing"})
VALIDATION_NAMES = frozenset({"val", "valid", "validation"})
EXPLAINED_SUFFIX = ".explained.png"  # of drawings that `exemplar predict` puts beside pictures
_SPLIT_FOLDERS = TRAIN_NAMES | TEST_NAMES | VALIDATION_NAMES
_SYSTEM_NAMES = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
_HASH_THREADS = 8
_LAYOUT_FIX = "lay the pictures out as FOLDER/cat/1.jpg and FOLDER/dog/2.jpg: one folder per class"


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A picture or table on this machine; `name` is its path below the folder, for people."""

    path: Path
    class_name: str
    name: str
    size_bytes: int
    sha256: str
    content_type: str
    split: Split | None = None
    text_column: str = ""
    label_column: str = ""

    def announced(self) -> AnnouncedFile:
        """The form in which the API hears of it."""
        return AnnouncedFile(
            self.class_name,
            self.name,
            self.size_bytes,
            self.sha256,
            self.content_type,
            self.split,
            self.text_column,
            self.label_column,
        )


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something in the folder that is not uploaded."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class LabelledFolder:
    """The classes in alphabetical order, their files in path order, and what was left out.

    Tables of text name their classes inside, so `classes` is empty for them.
    """

    classes: tuple[str, ...]
    files: tuple[LocalFile, ...]
    skipped: tuple[Skipped, ...]
    kind: Kind = Kind.IMAGE
    columns: tuple[Columns, ...] = ()  # of each file, where these are tables


@dataclass(frozen=True, slots=True)
class _Candidate:
    path: Path
    name: str
    class_name: str
    split: Split | None


@dataclass(frozen=True, slots=True)
class _ClassFolder:
    path: Path
    class_name: str
    split: Split | None


def read_folder(
    folder: Path | str, on_progress: Callable[[int, int, int], None] | None = None
) -> LabelledFolder:
    """Find, type and hash every picture; `on_progress(files_done, files_total, bytes_done)`.

    Raises `NotFound` when there is no such folder and `DataProblem` when it holds no two classes.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        problem = "is a file" if root.exists() else "does not exist"
        raise NotFound(f"folder {str(folder)!r} {problem}", fix=_LAYOUT_FIX)
    root = root.resolve()
    skipped: list[Skipped] = []
    class_folders = list(_class_folders(root, skipped))
    candidates = [
        candidate
        for class_folder in class_folders
        for candidate in _candidates(root, class_folder, class_folder.path, skipped)
    ]
    files = _read_all(candidates, skipped, on_progress)
    classes = tuple(sorted({class_folder.class_name for class_folder in class_folders}))
    _check(folder, classes, files)
    return LabelledFolder(classes, files, tuple(skipped))


def _class_folders(root: Path, skipped: list[Skipped]) -> Iterator[_ClassFolder]:
    folders = list(_visible_folders(root, root, skipped))
    if not _has_splits(folders):
        yield from (_ClassFolder(path, _class_of(path), None) for path in folders)
        return
    for path in folders:
        if path.name.lower() not in _SPLIT_FOLDERS:
            skipped.append(Skipped(_display(root, path), "lies beside the train and test folders"))
            continue
        # Validation pictures are chosen anew out of the training part, so these join it.
        split = Split.TEST if path.name.lower() in TEST_NAMES else Split.TRAIN
        for inner in _visible_folders(root, path, skipped):
            yield _ClassFolder(inner, _class_of(inner), split)


def _has_splits(folders: list[Path]) -> bool:
    """A class may be called 'train': it is a split only with folders inside and no odd sibling."""
    names = {path.name.lower() for path in folders}
    training = [path for path in folders if path.name.lower() in TRAIN_NAMES]
    has_inner = any(inner.is_dir() for path in training for inner in path.iterdir())
    return has_inner and (names <= _SPLIT_FOLDERS or bool(names & TEST_NAMES))


def _visible_folders(root: Path, parent: Path, skipped: list[Skipped]) -> Iterator[Path]:
    for path in sorted(parent.iterdir()):
        name = _display(root, path)
        if _is_hidden(path):
            skipped.append(Skipped(name, "hidden or made by the system"))
        elif path.is_symlink() and not _stays_inside(root, path):
            skipped.append(Skipped(name, "a link that leaves the folder"))
        elif path.is_dir():
            yield path
        else:
            skipped.append(Skipped(name, "lies outside the class folders"))


def _candidates(
    root: Path, class_folder: _ClassFolder, parent: Path, skipped: list[Skipped]
) -> Iterator[_Candidate]:
    try:
        entries = sorted(parent.iterdir())
    except OSError as error:
        skipped.append(Skipped(_display(root, parent), f"cannot be read: {error.strerror}"))
        return
    for path in entries:
        if reason := _unwanted(root, path):
            skipped.append(Skipped(_display(root, path), reason))
        elif path.is_dir():
            yield from _candidates(root, class_folder, path, skipped)
        else:
            yield _Candidate(
                path, _display(root, path), class_folder.class_name, class_folder.split
            )


def _unwanted(root: Path, path: Path) -> str:
    if _is_hidden(path):
        return "hidden or made by the system"
    if path.name.endswith(EXPLAINED_SUFFIX):
        return "an explanation, no picture to learn from"
    if path.is_symlink():
        if not _stays_inside(root, path):
            return "a link that leaves the folder"
        if path.is_dir():  # may lead back to its parent
            return "a link to a folder"
    if not path.is_file() and not path.is_dir():
        return "no regular file"
    return ""


def _read_all(
    candidates: list[_Candidate],
    skipped: list[Skipped],
    on_progress: Callable[[int, int, int], None] | None,
) -> tuple[LocalFile, ...]:
    files: list[LocalFile] = []
    bytes_done = 0
    with ThreadPoolExecutor(_HASH_THREADS) as pool:
        for done, found in enumerate(pool.map(_read, candidates), start=1):
            if isinstance(found, Skipped):
                skipped.append(found)
            else:
                files.append(found)
                bytes_done += found.size_bytes
            if on_progress:
                on_progress(done, len(candidates), bytes_done)
    return tuple(files)


def _read(candidate: _Candidate) -> LocalFile | Skipped:
    try:
        with candidate.path.open("rb") as stream:
            head = stream.read(SNIFF_BYTES)
            content_type = picture_type(head)
            if content_type is None:
                return Skipped(candidate.name, reason_against(head))
            stream.seek(0)
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            size_bytes = stream.tell()
    except OSError as error:
        return Skipped(candidate.name, f"cannot be read: {error.strerror}")
    return LocalFile(
        candidate.path,
        candidate.class_name,
        candidate.name,
        size_bytes,
        sha256,
        content_type,
        candidate.split,
    )


def _check(folder: Path | str, classes: tuple[str, ...], files: Iterable[LocalFile]) -> None:
    if not classes:
        raise DataProblem(f"folder {str(folder)!r} holds no class folders", fix=_LAYOUT_FIX)
    if len(classes) == 1:
        raise DataProblem(
            f"folder {str(folder)!r} holds only the class {classes[0]!r}, at least 2 are needed",
            fix="add a second class folder, such as 'other', with pictures of something else",
        )
    filled = {file.class_name for file in files}
    empty = [name for name in classes if name not in filled]
    if empty:
        raise DataProblem(
            f"class {empty[0]!r} holds no pictures",
            fix="put JPEG, PNG, WebP, GIF, BMP or TIFF files into it, or remove its folder",
            details=[f"class {name!r} holds no pictures" for name in empty],
        )


def _class_of(path: Path) -> str:
    try:
        return class_name(_text(path.name))
    except InvalidName as error:
        raise InvalidName(error.message, fix=f"rename the folder {_text(str(path))!r}") from error


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in _SYSTEM_NAMES


def _stays_inside(root: Path, path: Path) -> bool:
    return path.resolve().is_relative_to(root)


def _display(root: Path, path: Path) -> str:
    name = _text(path.relative_to(root).as_posix())
    return name if len(name) <= SOURCE_MAX else "…" + name[1 - SOURCE_MAX :]


def _text(name: str) -> str:
    """File systems hold names that are no UTF-8; JSON does not."""
    return re.sub(r"[\ud800-\udfff]", "\ufffd", name)
