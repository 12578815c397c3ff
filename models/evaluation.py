"""A bundle's answers on a frozen test split, and the figures that follow from them."""

import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from contracts.bundle import ModelCard
from contracts.errors import InvalidRequest
from contracts.manifest import Example
from models.statistics import wilson_interval
from serving.predictor import Outcomes, softmax
from serving.readers import Source

SCHEMA_VERSION: Final = 2
PARITY_METRIC: Final = "parity_error"  # in a card's metrics, where a framework was exported
_COLUMNS: Final = (
    *("classes", "sha256s", "truth", "predicted", "confidence"),
    *("unscaled_confidence", "rejected"),
)
_BATCH = 8
_TIMED = 20  # examples answered one by one for the latency


class Scorable(Protocol):
    """What `serving.predictor.Predictor` offers: a card and outcomes."""

    @property
    def card(self) -> ModelCard: ...

    def outcomes(self, sources: Sequence[Source]) -> Outcomes: ...


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One model on one test split; the tuples run over the test examples, in one order."""

    model_version: str
    dataset_version: str
    classes: tuple[str, ...]
    sha256s: tuple[str, ...]
    truth: tuple[int, ...]
    predicted: tuple[int, ...]
    confidence: tuple[float, ...]  # probability of the predicted class, 0..1
    unscaled_confidence: tuple[float, ...]  # the same without temperature scaling
    rejected: tuple[bool, ...]  # answered with none of the classes; each is a false alarm
    latency_ms: float  # median of single examples, reading included
    bundle_size_bytes: int
    parity_error: float | None = None  # largest difference of logits to the training framework

    def __post_init__(self) -> None:
        columns = (self.sha256s, self.truth, self.predicted, self.confidence)
        lengths = {len(column) for column in (*columns, self.unscaled_confidence, self.rejected)}
        answers = {*self.truth, *self.predicted}
        if len(lengths) != 1 or not answers <= set(range(len(self.classes))):
            raise InvalidRequest(
                f"evaluation of {self.model_version!r} is inconsistent: every example needs one "
                f"true and one predicted class of {len(self.classes)}"
            )

    @property
    def is_right(self) -> NDArray[np.bool_]:
        """`(n,)`: which examples were answered rightly."""
        right: NDArray[np.bool_] = np.equal(self.truth, self.predicted)
        return right

    @property
    def correct(self) -> int:
        """How many examples were answered rightly."""
        return int(self.is_right.sum())

    @property
    def accuracy(self) -> float:
        """Share answered rightly, 0..1; 0 without examples."""
        return self.correct / len(self.truth) if self.truth else 0.0

    @property
    def false_alarm_rate(self) -> float:
        """Share of the test examples that would be answered with none of the classes, 0..1."""
        return sum(self.rejected) / len(self.rejected) if self.rejected else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the accuracy."""
        return wilson_interval(self.correct, len(self.truth))

    @property
    def confusion(self) -> NDArray[np.int64]:
        """`(classes, classes)` counts: rows are the truth, columns the answers."""
        size = len(self.classes)
        cells = np.array(self.truth, int) * size + np.array(self.predicted, int)
        return np.bincount(cells, minlength=size * size).reshape(size, size)

    @property
    def per_class_recall(self) -> tuple[float, ...]:
        """Of each class's examples, the share found; 0 for a class without examples."""
        return _ratios(self.confusion.diagonal(), self.confusion.sum(axis=1))

    @property
    def per_class_precision(self) -> tuple[float, ...]:
        """Of the answers naming a class, the share that was right; 0 where none named it."""
        return _ratios(self.confusion.diagonal(), self.confusion.sum(axis=0))

    def to_json(self) -> bytes:
        """Stored form; figures that follow from the answers are left out."""
        document = {"schema_version": SCHEMA_VERSION} | asdict(self)
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Evaluation":
        """Parse. Raises `InvalidRequest` for another schema or a broken form."""
        try:
            document: dict[str, Any] = json.loads(data)
            if document.pop("schema_version") != SCHEMA_VERSION:
                raise InvalidRequest("the evaluation's schema is unknown")
            for name in _COLUMNS:
                document[name] = tuple(document[name])
            return cls(**document)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidRequest(f"this is no evaluation: {error}") from error


def evaluate(
    predictor: Scorable,
    *,
    manifest_version: str,
    examples: Sequence[Example],
    sources: Sequence[Source],
    bundle_size_bytes: int,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Evaluation:
    """Let a bundle answer test examples through the serving code; in the order of `sources`.

    The bundle's classes must be those of the manifest, in its order. Examples are dealt to one
    thread per core, so a predictor of one thread each, as it serves, is the fastest here, too.
    """
    batches = [sources[start : start + _BATCH] for start in range(0, len(sources), _BATCH)]
    rows: list[Outcomes] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for row in pool.map(predictor.outcomes, batches):
            rows.append(row)
            on_progress(len(rows) / len(batches))
    card = predictor.card
    none = [np.empty((0, len(card.classes)), np.float32)]
    probabilities = np.concatenate([row.probabilities for row in rows] or none)
    rejected = [bool(value) for row in rows for value in row.is_rejected]
    return Evaluation(
        model_version=card.model_version,
        dataset_version=manifest_version,
        classes=card.classes,
        sha256s=tuple(example.sha256 for example in examples),
        truth=tuple(example.class_index for example in examples),
        predicted=tuple(probabilities.argmax(axis=1).tolist()),
        confidence=_rounded(probabilities.max(axis=1)),
        unscaled_confidence=_rounded(_unscaled(probabilities, card.temperature).max(axis=1)),
        rejected=tuple(rejected),
        latency_ms=_median_latency_ms(predictor, sources),
        bundle_size_bytes=bundle_size_bytes,
        parity_error=card.metrics.get(PARITY_METRIC),
    )


def _rounded(values: NDArray[np.float32]) -> tuple[float, ...]:
    return tuple(round(float(value), 6) for value in values)


def _unscaled(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Undo the division by the temperature: the logits are the logarithms but for a constant."""
    logits = np.log(np.maximum(probabilities, 1e-30)) * np.float32(temperature)
    return softmax(logits.astype(np.float32))


def _median_latency_ms(predictor: Scorable, sources: Sequence[Source]) -> float:
    seconds = []
    for source in sources[:_TIMED]:
        started = time.perf_counter()
        predictor.outcomes([source])
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds) if seconds else 0.0


def _ratios(parts: NDArray[np.int64], wholes: NDArray[np.int64]) -> tuple[float, ...]:
    return tuple((parts / np.maximum(wholes, 1)).tolist())
