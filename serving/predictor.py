"""The served model: load, decode, predict, encode are four steps that can be tested apart."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from contracts.bundle import CARD_FILE, MODEL_FILE, TOKENIZER_FILE, ModelCard
from contracts.errors import BundleInvalid
from contracts.manifest import Kind
from serving.readers import Inputs, Source, reader_of
from serving.time_limit import check_time

_ROWS_AT_ONCE: Final = 32  # long texts have many windows, and attention needs memory for each


LOGITS: Final = "logits"  # the graph's outputs
FEATURES: Final = "features"  # before a bundle is finished
NOVELTY: Final = "novelty"  # how unlike everything learnt an example is


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What a bundle makes of some examples."""

    probabilities: NDArray[np.float32]  # (n, classes), calibrated
    is_rejected: NDArray[np.bool_]  # (n,): likely none of the classes


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one example. `label` is None when it is likely none of the classes."""

    label: str | None
    probabilities: dict[str, float]  # in the bundle's class order
    model_version: str


class Predictor:
    """A verified bundle, ready to answer."""

    def __init__(
        self, card: ModelCard, graph: bytes, threads: int = 1, tokenizer: bytes | None = None
    ) -> None:
        """Prepare the graph; text needs its tokenizer. Raises `BundleInvalid` for a broken one."""
        self.card = card
        self.reader = reader_of(card.preprocessing, tokenizer)
        self._session = open_session(graph, threads)
        self._input = self._session.get_inputs()[0].name

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> Self:
        """Read a bundle and check every file against `model.json`. Raises `BundleInvalid`."""
        try:
            card = ModelCard.from_json((folder / CARD_FILE).read_bytes())
            names = [MODEL_FILE, *([TOKENIZER_FILE] if card.kind is Kind.TEXT else [])]
            files = {name: (folder / name).read_bytes() for name in names}
        except OSError as error:
            raise BundleInvalid(f"the bundle is incomplete: {error.strerror}") from error
        if card.with_version().model_version != card.model_version:
            raise BundleInvalid(f"{CARD_FILE} was altered: its version does not match its content")
        for name, data in files.items():
            card.verify(name, data)
        return cls(card, files[MODEL_FILE], threads, files.get(TOKENIZER_FILE))

    def read(self, sources: Sequence[Source]) -> Inputs:
        """Return examples as the graph takes them. Raises `UnreadableExample`."""
        return self.reader.read(sources)

    def run(self, inputs: Inputs, *outputs: str) -> list[NDArray[np.float32]]:
        """The graph's outputs for some examples; of one with several rows, their means.

        Raises `LimitExceeded` when a `time_limit` is over.
        """
        parts = []
        for start in range(0, len(inputs.rows), _ROWS_AT_ONCE):
            check_time()
            rows = inputs.rows[start : start + _ROWS_AT_ONCE]
            parts.append(self._session.run(outputs, {self._input: rows}))
        return [inputs.merged(np.concatenate(rows)) for rows in zip(*parts, strict=True)]

    def logits(self, inputs: Inputs) -> NDArray[np.float32]:
        """`(examples, classes)`, before temperature and softmax."""
        return self.run(inputs, LOGITS)[0]

    def predict(self, inputs: Inputs) -> NDArray[np.float32]:
        """Calibrated probabilities, `(examples, classes)`."""
        return softmax(self.logits(inputs) / self.card.temperature)

    def features(self, sources: Sequence[Source], batch_size: int = 32) -> NDArray[np.float32]:
        """`(n, feature_dim)`, of a graph that still gives them."""
        parts = [self.run(self.read(batch), FEATURES)[0] for batch in _batches(sources, batch_size)]
        return np.concatenate(parts)

    def outcomes(self, sources: Sequence[Source], batch_size: int = 32) -> Outcomes:
        """All that is computed of many examples, holding one batch at a time.

        Raises `UnreadableExample` for the first that cannot be read.
        """
        threshold, wanted = self.card.rejection_threshold, [LOGITS]
        if threshold is not None:
            wanted.append(NOVELTY)
        rows = [np.empty((0, len(self.card.classes)), np.float32)]
        novelty = [np.empty(0, np.float32)]
        for batch in _batches(sources, batch_size):
            logits, *rest = self.run(self.read(batch), *wanted)
            rows.append(softmax(logits / self.card.temperature))
            novelty += rest
        is_rejected = np.zeros(len(sources), np.bool_)
        if threshold is not None:
            is_rejected = np.concatenate(novelty) > threshold
        return Outcomes(np.concatenate(rows), is_rejected)

    def probabilities(self, sources: Sequence[Source], batch_size: int = 32) -> NDArray[np.float32]:
        """Calibrated probabilities of many examples, `(n, classes)`; see `outcomes`."""
        return self.outcomes(sources, batch_size).probabilities

    def answers(self, sources: Sequence[Source]) -> list[Prediction]:
        """All steps for some examples. Raises `UnreadableExample`."""
        found = self.outcomes(sources)
        return [
            self.encode(row, is_rejected=bool(rejected))
            for row, rejected in zip(found.probabilities, found.is_rejected, strict=True)
        ]

    def answer(self, source: Source) -> Prediction:
        """All steps for one example. Raises `UnreadableExample`."""
        return self.answers([source])[0]

    def encode(
        self, probabilities: NDArray[np.float32], *, is_rejected: bool = False
    ) -> Prediction:
        """Name the most likely class of one row `(classes,)`, unless it is none of them."""
        best = int(probabilities.argmax())
        return Prediction(
            label=None if is_rejected else self.card.classes[best],
            probabilities={
                name: round(float(p), 6)
                for name, p in zip(self.card.classes, probabilities, strict=True)
            },
            model_version=self.card.model_version,
        )


def open_session(graph: bytes | str, threads: int = 1) -> onnxruntime.InferenceSession:
    """Open an ONNX graph (its bytes or its path) on the CPU. Raises `BundleInvalid`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # warnings about the sandbox's CPU files help nobody
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no public base class
        raise BundleInvalid(f"the model's graph cannot be loaded: {error}") from error


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Softmax over the last axis, safe for large logits."""
    exponents = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: NDArray[np.float32] = exponents / exponents.sum(axis=-1, keepdims=True)
    return result


def _batches(sources: Sequence[Source], batch_size: int) -> Iterator[tuple[Source, ...]]:
    iterator = iter(sources)
    while batch := tuple(islice(iterator, batch_size)):
        yield batch
