"""Why a bundle says so: what of an example is missed most where it is hidden.

One method for every graph and kind: the same graph is asked again without a part of the example,
and what counts is how far the log-odds of the class fall, which unlike its probability tell 99 %
from 99.9 %. It says what this answer hangs on, not what the class looks like. It is deterministic.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contracts.bundle import Preprocessing, TextPreprocessing
from contracts.errors import InvalidRequest
from serving.predictor import Predictor, softmax
from serving.readers import Inputs, Source, Texts

# Log-odds (nats). Where hiding anything takes away less, no part matters more than another.
LEAST_FALL: Final = 0.05
_CLASSES_NAMED: Final = 20


@dataclass(frozen=True, slots=True, eq=False)
class PictureExplanation:
    """A map over the part of a picture that the model sees."""

    class_name: str
    probability: float  # of the class, 0..1
    probability_without: float  # with the patch hidden that is missed most
    map: NDArray[np.float32]  # (CELLS, CELLS), rows from the top; 0..1, 1 is missed most
    box: tuple[float, ...]  # where the map lies: left, top, right, bottom as shares, 0..1

    def as_dict(self) -> dict[str, Any]:
        """For answers."""
        return {
            "class": self.class_name,
            "probability": self.probability,
            "probability_without": self.probability_without,
            "map": [[round(value, 3) for value in row] for row in self.map.tolist()],
            "box": list(self.box),
        }


@dataclass(frozen=True, slots=True)
class WeighedWord:
    """A word with what it adds: 1 is missed most, below 0 it speaks against the class."""

    text: str
    start: int  # in characters (Unicode code points)
    end: int
    weight: float  # -1..1

    def as_dict(self) -> dict[str, Any]:
        """For answers."""
        return {"text": self.text, "start": self.start, "end": self.end, "weight": self.weight}


@dataclass(frozen=True, slots=True)
class TextExplanation:
    """The words that the model saw, the weightiest first."""

    class_name: str
    probability: float  # of the class, 0..1
    probability_without: float  # without the words that are missed most
    words: tuple[WeighedWord, ...]
    words_at_once: int  # left out together and weighed alike; 1 but for long texts
    characters: int  # how far the text was read

    def as_dict(self) -> dict[str, Any]:
        """For answers."""
        return {
            "class": self.class_name,
            "probability": self.probability,
            "probability_without": self.probability_without,
            "words": [word.as_dict() for word in self.words],
            "words_at_once": self.words_at_once,
            "characters": self.characters,
        }


Explanation = PictureExplanation | TextExplanation


def explain(predictor: Predictor, source: Source, class_name: str = "") -> Explanation:
    """Say what speaks for a class, by default the most likely one, even of a refused example.

    Raises `UnreadableExample`, or `InvalidRequest` for a class that the bundle does not have.
    """
    if class_name:
        _check_class(predictor, class_name)
    if isinstance(source, str):
        return _explain_text(predictor, source, class_name)
    return _explain_picture(predictor, source, class_name)


def _explain_picture(
    predictor: Predictor, source: bytes | Path, class_name: str
) -> PictureExplanation:
    from serving.occlusion import heat, hidden
    from serving.preprocess import crop, crop_box, decode, normalise

    preprocessing = predictor.card.preprocessing
    if not isinstance(preprocessing, Preprocessing):
        raise TypeError("a text is given as a string")
    image = decode(source, preprocessing)
    pixels = normalise(crop(image, preprocessing)[None], preprocessing)
    falls = _Falls(predictor, _logits(predictor, pixels)[0], class_name)
    lacking = np.concatenate([_logits(predictor, batch) for batch in hidden(pixels[0])])
    places = heat(falls.of(lacking))
    sides = np.array([*image.size, *image.size])
    return PictureExplanation(
        falls.class_name,
        falls.probability,
        falls.least_probability(lacking),
        np.clip(places / max(float(places.max()), LEAST_FALL), 0, 1),
        tuple((np.array(crop_box(image.size, preprocessing)) / sides).round(4).tolist()),
    )


def _explain_text(predictor: Predictor, text: str, class_name: str) -> TextExplanation:
    from serving.omission import Omissions

    reader, preprocessing = predictor.reader, predictor.card.preprocessing
    if not isinstance(reader, Texts) or not isinstance(preprocessing, TextPreprocessing):
        raise TypeError("a picture is given as bytes or as a file's path")
    located = reader.locate(text)
    omissions = Omissions.of(text, located, preprocessing.pad_id)
    whole = _logits(predictor, located.ids)
    falls = _Falls(predictor, whole.mean(axis=0), class_name)
    changed = whole[:0] if not len(omissions.rows) else _logits(predictor, omissions.rows)
    lacking = omissions.logits(whole, changed)
    fall = falls.of(lacking)
    weights = fall / max(float(np.abs(fall).max(initial=0)), LEAST_FALL)
    words = [
        WeighedWord(word.text, word.start, word.end, round(weight, 3) + 0.0)
        for word, weight in zip(omissions.words, weights[omissions.groups].tolist(), strict=True)
    ]
    return TextExplanation(
        falls.class_name,
        falls.probability,
        falls.least_probability(lacking),
        tuple(sorted(words, key=lambda word: (-word.weight, word.start))),
        omissions.words_at_once,
        int(located.spans.max(initial=0)),
    )


class _Falls:
    """How far a class falls below what the whole example has, `(classes,)` logits."""

    def __init__(self, predictor: Predictor, logits: NDArray[np.float32], class_name: str) -> None:
        classes = predictor.card.classes
        self._whole, self._temperature = logits, predictor.card.temperature
        self._index = classes.index(class_name) if class_name else int(logits.argmax())
        self.class_name = classes[self._index]

    def of(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """By how much its log-odds are less in each of `(n, classes)`."""
        falls: NDArray[np.float32] = self._log_odds(self._whole) - self._log_odds(logits)
        return falls

    @property
    def probability(self) -> float:
        """Calibrated, of the whole example."""
        return self._probability(self._whole)

    def least_probability(self, logits: NDArray[np.float32]) -> float:
        """Calibrated, where most is missed; of nothing hidden, that of the whole example."""
        return min([self._probability(row) for row in logits], default=self.probability)

    def _probability(self, logits: NDArray[np.float32]) -> float:
        return round(float(softmax(logits / self._temperature)[self._index]), 6)

    def _log_odds(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        others = np.delete(logits, self._index, axis=-1)
        most = others.max(axis=-1)
        rest = most + np.log(np.exp(others - most[..., None]).sum(axis=-1))
        odds: NDArray[np.float32] = logits[..., self._index] - rest
        return odds


def _logits(
    predictor: Predictor, rows: NDArray[np.float32] | NDArray[np.int64]
) -> NDArray[np.float32]:
    """Of single rows, `(n, classes)`."""
    return predictor.logits(Inputs(rows, np.ones(len(rows), np.int64)))


def _check_class(predictor: Predictor, name: str) -> None:
    classes = predictor.card.classes
    if name not in classes:
        named = ", ".join(map(repr, classes[:_CLASSES_NAMED]))
        more = " …" if len(classes) > _CLASSES_NAMED else ""
        raise InvalidRequest(
            f"the class {name[:64]!r} is none of this model's", fix=f"name one of {named}{more}"
        )
