"""The served model: load, decode, predict, encode are four steps that can be tested apart."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from contracts.bundle import CARD_FILE, MODEL_FILE, ModelCard
from contracts.errors import BundleInvalid
from serving.preprocess import decode, to_tensor


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one picture. `label` is None when it is likely none of the classes."""

    label: str | None
    probabilities: dict[str, float]  # in the bundle's class order
    model_version: str


class Predictor:
    """A verified bundle, ready to answer."""

    def __init__(self, card: ModelCard, graph: bytes, threads: int = 1) -> None:
        """Prepare the graph. Raises `BundleInvalid` when ONNX Runtime refuses it."""
        self.card = card
        self._session = open_session(graph, threads)
        self._input = self._session.get_inputs()[0].name

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> Self:
        """Read a bundle and check every file against `model.json`. Raises `BundleInvalid`."""
        try:
            card = ModelCard.from_json((folder / CARD_FILE).read_bytes())
            graph = (folder / MODEL_FILE).read_bytes()
        except OSError as error:
            raise BundleInvalid(f"the bundle is incomplete: {error.strerror}") from error
        if card.with_version().model_version != card.model_version:
            raise BundleInvalid(f"{CARD_FILE} was altered: its version does not match its content")
        card.verify(MODEL_FILE, graph)
        return cls(card, graph, threads)

    def decode(self, data: bytes | Path) -> NDArray[np.float32]:
        """Return a picture as the graph's input, `(3, size, size)`. Raises `UnreadableExample`."""
        preprocessing = self.card.preprocessing
        return to_tensor(decode(data, preprocessing), preprocessing)

    def logits(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """`(n, 3, size, size)` float32 to `(n, classes)`, before temperature and softmax."""
        output: NDArray[np.float32] = self._session.run(None, {self._input: images})[0]
        return output

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """`(n, 3, size, size)` float32 to calibrated probabilities `(n, classes)`."""
        return softmax(self.logits(images) / self.card.temperature)

    def encode(self, probabilities: NDArray[np.float32]) -> Prediction:
        """Name the most likely class of one row `(classes,)`, unless it is below the threshold."""
        best = int(probabilities.argmax())
        threshold = self.card.rejection_threshold
        is_known = threshold is None or float(probabilities[best]) >= threshold
        return Prediction(
            label=self.card.classes[best] if is_known else None,
            probabilities={
                name: round(float(p), 6)
                for name, p in zip(self.card.classes, probabilities, strict=True)
            },
            model_version=self.card.model_version,
        )

    def answer(self, data: bytes | Path) -> Prediction:
        """All steps for one picture. Raises `UnreadableExample`."""
        return self.encode(self.predict(self.decode(data)[None])[0])

    def probabilities(
        self, sources: Sequence[bytes | Path], batch_size: int = 32
    ) -> NDArray[np.float32]:
        """Calibrated probabilities of many pictures, `(n, classes)`, holding one batch at a time.

        Raises `UnreadableExample` for the first picture that cannot be decoded.
        """
        rows = [
            self.predict(np.stack([self.decode(data) for data in batch]))
            for batch in _batches(sources, batch_size)
        ]
        return np.concatenate(rows or [np.empty((0, len(self.card.classes)), np.float32)])


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


def _batches(
    sources: Sequence[bytes | Path], batch_size: int
) -> Iterator[tuple[bytes | Path, ...]]:
    iterator = iter(sources)
    while batch := tuple(islice(iterator, batch_size)):
        yield batch
