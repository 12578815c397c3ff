"""A bundle's answers on labelled examples of this machine, through the serving code."""

import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from contracts.bundle import CARD_FILE
from contracts.errors import DataProblem, InvalidRequest, NotFound
from contracts.limits import Limits
from contracts.manifest import Example, Kind
from deployments.folder import LabelledFolder, read_folder
from deployments.text_files import holds_text, read_text_files
from models.evaluation import Evaluation, evaluate
from models.labelled_rows import read_labelled_rows
from models.statistics import sentence
from serving.predictor import Predictor
from serving.readers import Source

_MOST_CONFUSED = 5


@dataclass(frozen=True, slots=True)
class ClassResult:
    """How one class fared; rates are 0..1."""

    name: str
    examples: int
    recall: float
    precision: float


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """A bundle on labelled examples. `left_out` counts those it could not be asked about."""

    model_version: str
    examples: int
    correct: int
    accuracy: float
    interval: tuple[float, float]
    sentence: str
    latency_ms: float
    classes: list[ClassResult]
    confusions: list[tuple[str, str, int]]  # right class, answer, how often
    left_out: dict[str, int]  # reason and how often

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def evaluate_bundle(
    bundle: Path,
    data: Path,
    text_column: str = "",
    label_column: str = "",
    on_progress: Callable[[float], None] = lambda _: None,
) -> EvaluationResult:
    """Ask a bundle, a folder or a zip of one, about every example of a folder or table.

    Raises `NotFound` and `BundleInvalid` for the bundle, `DataProblem` and `InvalidRequest` for
    data that it cannot be asked about.
    """
    with unpacked(bundle) as folder:
        predictor = Predictor.load(folder)
        size_bytes = sum(file.stat().st_size for file in folder.iterdir())
    kind, classes = predictor.card.kind, predictor.card.classes
    if holds_text(data) != (kind is Kind.TEXT):
        raise InvalidRequest(
            f"{str(data)!r} holds no {'texts' if kind is Kind.TEXT else 'pictures'}, which the "
            "bundle is for",
            fix="give data of the same kind as those it learnt from",
        )
    if kind is Kind.TEXT:
        found = read_text_files(data, None, text_column, label_column)
        examples, sources, left_out = _rows(found, classes)
    else:
        examples, sources, left_out = _pictures(read_folder(data), classes)
    if not examples:
        raise DataProblem(
            f"none of the examples is of a class that the bundle knows ({', '.join(classes[:10])})",
            fix="look at the labels",
            details=[f"{count:,}: {reason}" for reason, count in left_out.items()],
        )
    evaluation = evaluate(
        predictor,
        manifest_version="",
        examples=examples,
        sources=sources,
        bundle_size_bytes=size_bytes,
        on_progress=on_progress,
    )
    return _result(evaluation, left_out)


@contextmanager
def unpacked(bundle: Path) -> Iterator[Path]:
    """The bundle's folder; a zip is unpacked for as long as it is needed."""
    if bundle.is_dir():
        yield bundle
        return
    with tempfile.TemporaryDirectory() as scratch:
        try:
            with zipfile.ZipFile(bundle) as archive:
                if CARD_FILE not in archive.namelist():
                    raise NotFound(f"{bundle.name!r} holds no {CARD_FILE}", fix="name a bundle")
                archive.extractall(scratch)
        except (OSError, zipfile.BadZipFile) as error:
            raise NotFound(
                f"{str(bundle)!r} is no bundle: {error}",
                fix="name a bundle.zip or its folder, or a project with --project",
            ) from error
        yield Path(scratch)


_Data = tuple[list[Example], list[Source], dict[str, int]]


def _rows(found: LabelledFolder, classes: tuple[str, ...]) -> _Data:
    rows = read_labelled_rows(
        [(file.announced(), file.path) for file in found.files], classes, Limits.from_environment()
    )
    usable = [example for example in rows.examples if not example.flags]
    left_out = Counter(example.note for example in rows.examples if example.flags)
    return usable, [rows.texts[example.sha256] for example in usable], dict(left_out)


def _pictures(found: LabelledFolder, classes: tuple[str, ...]) -> _Data:
    indices = {name: index for index, name in enumerate(classes)}
    known = [file for file in found.files if file.class_name in indices]
    left_out = Counter(
        f"the class {file.class_name!r} is none of the bundle's"
        for file in found.files
        if file.class_name not in indices
    )
    left_out.update(skipped.reason for skipped in found.skipped)
    examples = [
        Example(file.sha256, indices[file.class_name], file.name, file.size_bytes) for file in known
    ]
    return examples, [file.path for file in known], dict(left_out)


def _result(evaluation: Evaluation, left_out: dict[str, int]) -> EvaluationResult:
    confusion = evaluation.confusion
    wrong = confusion - np.diag(confusion.diagonal())
    order = np.argsort(wrong, axis=None)[::-1][:_MOST_CONFUSED]
    names = evaluation.classes
    pairs = [divmod(int(cell), len(names)) for cell in order]
    return EvaluationResult(
        model_version=evaluation.model_version,
        examples=len(evaluation.truth),
        correct=evaluation.correct,
        accuracy=evaluation.accuracy,
        interval=evaluation.interval,
        sentence=sentence(evaluation.correct, len(evaluation.truth)),
        latency_ms=round(evaluation.latency_ms, 2),
        classes=[
            ClassResult(name, int(confusion[index].sum()), recall, precision)
            for index, (name, recall, precision) in enumerate(
                zip(
                    names,
                    evaluation.per_class_recall,
                    evaluation.per_class_precision,
                    strict=True,
                )
            )
        ],
        confusions=[
            (names[right], names[given], int(wrong[right, given]))
            for right, given in pairs
            if wrong[right, given]
        ],
        left_out=left_out,
    )
