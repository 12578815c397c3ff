"""What a model does on the test examples, for people to look at."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np

from contracts.manifest import Example
from models.calibration_report import Bin, expected_calibration_error, reliability
from models.evaluation import Evaluation
from models.explained_mistakes import MOST_EXPLAINED, Explain, explained
from models.label_errors import LabelCheck
from models.model_page import model_page
from models.overlay import overlay
from models.statistics import sentence
from models.thumbnail import LARGE, SMALL, encoded
from serving.explanation import Explanation, PictureExplanation, TextExplanation, WeighedWord
from serving.preprocess import decode
from serving.readers import Source

WRONG_PER_CLASS: Final = 10
RIGHT_SHOWN: Final = 25
_MOST_WRONG: Final = 200  # of all classes together, so that the page stays of a size to be sent
_TEXT_CHARACTERS: Final = 300
_BEFORE_CHARACTERS: Final = 100  # of an excerpt, before the word that it is about


@dataclass(frozen=True, slots=True)
class Shown:
    """One test example with its answer; a picture as a data address, or a text."""

    name: str
    right: str
    answer: str
    confidence: float  # 0..1
    picture: str = ""
    text: str = ""
    overlay: str = ""  # the picture with what speaks for the answer, where it was asked why
    words: tuple[WeighedWord, ...] = ()  # the same for a text, in its order
    confidence_without: float | None = None  # without what speaks most for the answer, 0..1

    @property
    def is_right(self) -> bool:
        """Whether the answer is."""
        return self.right == self.answer


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class; rates are 0..1."""

    name: str
    examples: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class ModelReport:
    """One model version on one test split."""

    project: str
    model_version: str
    dataset_version: str
    backbone: str
    correct: int
    total: int
    interval: tuple[float, float]
    sentence: str
    latency_ms: float
    bundle_size_bytes: int
    classes: list[ClassFigures]
    confusion: list[list[int]]  # rows are the truth, columns the answers
    calibration: list[Bin]
    ece: float  # 0..1, as served
    ece_unscaled: float  # without temperature scaling
    temperature: float
    false_alarm_rate: float | None  # 0..1; None where nothing is ever refused
    epochs: list[dict[str, Any]]  # of training, where there were any
    wrong: list[Shown]  # the most confident first, by class
    right: list[Shown]
    labels: LabelCheck

    def as_dict(self) -> dict[str, Any]:
        """For programs: without the pictures, which are at hand elsewhere."""
        document = asdict(self)
        for shown in (*document["wrong"], *document["right"]):
            del shown["picture"], shown["overlay"]
        for error in document["labels"]["errors"]:
            del error["picture"]
        return document

    def as_html(self) -> str:
        """One self-contained page without scripts."""
        return model_page(self)


def model_report(
    project: str,
    evaluation: Evaluation,
    backbone: str,
    temperature: float,
    is_choosy: bool,
    examples: Sequence[Example],
    load: Callable[[Sequence[Example]], Sequence[Source]],
    explain: Explain,
    epochs: Sequence[dict[str, Any]] = (),
    labels: LabelCheck | None = None,
) -> ModelReport:
    """Describe an evaluation; `examples` are its test examples, in its order.

    `is_choosy` says whether the model may answer with none of its classes; `load` brings the
    examples that are shown, and `explain` says of the most confident mistakes why they were made.
    `labels` is what was found among those of the whole data set.
    """
    is_right, confidence = evaluation.is_right, np.array(evaluation.confidence)
    wrong, right = _chosen(evaluation)
    sources = load([examples[index] for index in (*wrong, *right)])
    whys = _explained(evaluation, wrong, sources, explain)
    shown = [
        _shown(evaluation, examples[index], index, source, whys.get(index))
        for index, source in zip((*wrong, *right), sources, strict=True)
    ]
    return ModelReport(
        project=project,
        model_version=evaluation.model_version,
        dataset_version=evaluation.dataset_version,
        backbone=backbone,
        correct=evaluation.correct,
        total=len(evaluation.truth),
        interval=evaluation.interval,
        sentence=sentence(evaluation.correct, len(evaluation.truth)),
        latency_ms=evaluation.latency_ms,
        bundle_size_bytes=evaluation.bundle_size_bytes,
        classes=_class_figures(evaluation),
        confusion=evaluation.confusion.tolist(),
        calibration=reliability(confidence, is_right),
        ece=expected_calibration_error(confidence, is_right),
        ece_unscaled=expected_calibration_error(np.array(evaluation.unscaled_confidence), is_right),
        temperature=temperature,
        false_alarm_rate=evaluation.false_alarm_rate if is_choosy else None,
        epochs=list(epochs),
        wrong=shown[: len(wrong)],
        right=shown[len(wrong) :],
        labels=labels or LabelCheck(),
    )


def _chosen(evaluation: Evaluation) -> tuple[list[int], list[int]]:
    """Wrong answers, the most confident of each class; right ones, spread over the test split."""
    confidence = np.array(evaluation.confidence)
    wrong: list[int] = []
    for index in range(len(evaluation.classes)):
        mine = np.flatnonzero(~evaluation.is_right & (np.array(evaluation.truth) == index))
        ordered = mine[np.argsort(-confidence[mine], kind="stable")]
        wrong += ordered[:WRONG_PER_CLASS].tolist()
    right = np.flatnonzero(evaluation.is_right)
    step = max(len(right) // RIGHT_SHOWN, 1)
    return wrong[:_MOST_WRONG], right[::step][:RIGHT_SHOWN].tolist()


def _explained(
    evaluation: Evaluation, wrong: Sequence[int], sources: Sequence[Source], explain: Explain
) -> dict[int, Explanation]:
    """The most confident mistakes of all classes; `sources` begin with those of `wrong`."""
    by_index = dict(zip(wrong, sources, strict=False))
    chosen = sorted(wrong, key=lambda index: -evaluation.confidence[index])[:MOST_EXPLAINED]
    names = evaluation.classes
    asked = [(by_index[index], names[evaluation.predicted[index]]) for index in chosen]
    found = zip(chosen, explained(explain, asked), strict=True)
    return {index: why for index, why in found if why is not None}


def _shown(
    evaluation: Evaluation, example: Example, index: int, source: Source, why: Explanation | None
) -> Shown:
    shown = Shown(
        name=example.source,
        right=evaluation.classes[evaluation.truth[index]],
        answer=evaluation.classes[evaluation.predicted[index]],
        confidence=evaluation.confidence[index],
        confidence_without=why.probability_without if why else None,
    )
    if isinstance(source, str):
        words = why.words if isinstance(why, TextExplanation) else ()
        text, words = _excerpt(source, words)
        return replace(shown, text=text, words=words)
    form = LARGE if why else SMALL
    image = decode(source, form)
    shown = replace(shown, picture=encoded(image, form))
    if isinstance(why, PictureExplanation):
        scale = form.size / min(image.size)
        small = image.resize([max(round(side * scale), 1) for side in image.size])
        shown = replace(shown, overlay=encoded(overlay(small, why.map, why.box), form))
    return shown


def _excerpt(text: str, words: Sequence[WeighedWord]) -> tuple[str, tuple[WeighedWord, ...]]:
    """A text's beginning, or a later part if the first word of `words` stands there."""
    begin = 0
    if words and words[0].end > _TEXT_CHARACTERS:
        begin = words[0].start - _BEFORE_CHARACTERS
    end = begin + _TEXT_CHARACTERS
    inside = [
        replace(word, start=word.start - begin, end=word.end - begin)
        for word in sorted(words, key=lambda word: word.start)
        if begin <= word.start and word.end <= end
    ]
    return text[begin:end], tuple(inside)


def _class_figures(evaluation: Evaluation) -> list[ClassFigures]:
    sizes = evaluation.confusion.sum(axis=1).tolist()
    rates = zip(evaluation.per_class_precision, evaluation.per_class_recall, strict=True)
    return [
        ClassFigures(
            name, size, precision, recall, 2 * precision * recall / ((precision + recall) or 1.0)
        )
        for name, size, (precision, recall) in zip(evaluation.classes, sizes, rates, strict=True)
    ]
