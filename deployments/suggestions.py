"""The examples of a folder or table that are most worth a label, by a bundle on this machine."""

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from contracts.bundle import MODEL_FILE, TOKENIZER_FILE
from contracts.errors import DataProblem, InvalidRequest, NotFound
from contracts.manifest import Kind
from contracts.picture_type import SNIFF_BYTES, picture_type
from contracts.tables import SAMPLE_BYTES, Columns, Hints, guess_columns, read_rows
from deployments.local_evaluation import unpacked
from deployments.text_files import TYPES
from models.encodings import encoding_of_file
from models.label_next import Candidate, Suggestion, suggestions, survey
from models.novelty import with_features
from serving.predictor import Predictor

_TEXT_FIX: Final = "give a CSV or TSV with a column of texts, or a .txt with a text on each line"


@dataclass(frozen=True, slots=True)
class SuggestResult:
    """What to label next; the most useful first."""

    model_version: str
    looked_at: int
    left_out: dict[str, int]  # reason and how often
    suggestions: list[Suggestion]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def suggest_from(
    bundle: Path,
    data: Path,
    count: int,
    text_column: str = "",
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> SuggestResult:
    """Choose `count` examples of a folder of pictures or a table of texts.

    `on_progress(looked_at, total)`. Raises `NotFound` and `BundleInvalid` for the bundle,
    `NotFound`, `DataProblem` and `InvalidRequest` for the data.
    """
    if count < 1:
        raise InvalidRequest(f"{count} examples cannot be suggested", fix="ask for 1 or more")
    if not data.exists():
        raise NotFound(f"{str(data)!r} does not exist", fix="name a folder or a table")
    with unpacked(bundle) as folder:
        card = Predictor.load(folder).card  # checks every file
        is_text = card.kind is Kind.TEXT
        tokenizer = (folder / TOKENIZER_FILE).read_bytes() if is_text else None
        graph, known = with_features((folder / MODEL_FILE).read_bytes())
    predictor = Predictor(card, graph, tokenizer=tokenizer)
    total, candidates = _texts(data, text_column) if is_text else _pictures(data)
    pool = survey(predictor, candidates, lambda done: on_progress(done, total))
    if not pool.candidates:
        raise DataProblem(
            f"{str(data)!r} holds nothing that can be read as {'text' if is_text else 'a picture'}",
            fix=_TEXT_FIX if is_text else "name a folder of JPEG, PNG, WebP, GIF, BMP or TIFF",
            details=[f"{number:,}: {reason}" for reason, number in pool.left_out.items()],
        )
    return SuggestResult(
        card.model_version,
        pool.seen,
        dict(pool.left_out),
        suggestions(pool, card.classes, count, known),
    )


_Found = tuple[int, Iterator[Candidate]]


def _pictures(folder: Path) -> _Found:
    """Every picture below a folder, whatever its folders are called."""
    if not folder.is_dir():
        raise InvalidRequest(
            f"{str(folder)!r} is no folder, and the model is for pictures", fix="name a folder"
        )
    paths = [
        Path(place) / name
        for place, folders, names in os.walk(folder)
        if folders.sort() is None
        for name in sorted(names)
        if not name.startswith(".") and _is_picture(Path(place) / name)
    ]
    return len(paths), (Candidate(path.relative_to(folder).as_posix(), path) for path in paths)


def _is_picture(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return picture_type(stream.read(SNIFF_BYTES)) is not None
    except OSError:
        return False


def _texts(path: Path, text_column: str) -> _Found:
    """The texts of a table; of one where some rows have labels, those of the others."""
    if path.is_dir():
        raise InvalidRequest(
            f"{str(path)!r} is a folder, and the model is for texts", fix=_TEXT_FIX
        )
    columns = _columns(path, text_column)
    labelled = total = 0
    for row in _rows(path, columns):
        total += 1
        labelled += bool(row[2])
    only_open = 0 < labelled < total
    found = (
        Candidate(f"{path.name}:{line}", text)
        for line, text, label in _rows(path, columns)
        if not (only_open and label)
    )
    return total - (labelled if only_open else 0), found


def _rows(path: Path, columns: Columns) -> Iterator[tuple[int, str, str]]:
    """Line, text and label of every row that has a text."""
    with path.open(encoding=columns.encoding, errors="surrogateescape", newline="") as lines:
        for row in read_rows(lines, columns):
            if row.text and not row.problem:
                yield row.line, row.text, row.label


def _columns(path: Path, text_column: str) -> Columns:
    encoding = encoding_of_file(path)
    with path.open("rb") as stream:
        sample = stream.read(SAMPLE_BYTES)
    is_whole = len(sample) == path.stat().st_size
    content_type = TYPES.get(path.suffix.lower(), "text/csv")
    try:
        hints = Hints(content_type, text_column=text_column)
        return guess_columns(sample, hints, encoding, is_whole=is_whole)
    except DataProblem:  # no column of labels, as is to be expected
        hints = Hints(content_type, has_class=True, text_column=text_column)
        return guess_columns(sample, hints, encoding, is_whole=is_whole)
