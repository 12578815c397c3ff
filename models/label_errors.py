"""Labels that may be wrong, found by confident learning (Northcutt et al. 2021, cleanlab).

Nothing is changed: a person looks at what is found. cleanlab is imported by the function that needs
it: with pandas it takes a second.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contracts.manifest import Example
from models import calibration
from models.draft import CANDIDATES, Rows, cross_validated_logits
from models.thumbnail import thumbnail
from serving.predictor import softmax
from serving.readers import Source

MOST_KEPT: Final = 100  # the most doubtful ones; nobody looks at more at once
_FIRST: Final = 3  # named where there is one line
_TEXT_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True)
class LabelError:
    """A label that may be wrong; probabilities are 0..1, of a model that had not seen it."""

    sha256: str
    name: str
    split: str
    given: str
    likelier: str
    given_probability: float
    likelier_probability: float
    picture: str = ""  # a data address, where it is shown
    text: str = ""


@dataclass(frozen=True, slots=True)
class LabelCheck:
    """What was found among the labels of a data set; the most doubtful first."""

    examined: int = 0  # 0 where the classes are too small to be held out of
    found: int = 0
    errors: tuple[LabelError, ...] = ()

    def with_sources(self, sources: Sequence[Source]) -> "LabelCheck":
        """The same with pictures or texts to show; `sources` are in the order of `errors`."""
        shown = (
            replace(error, text=source[:_TEXT_CHARACTERS])
            if isinstance(source, str)
            else replace(error, picture=thumbnail(source))
            for error, source in zip(self.errors, sources, strict=True)
        )
        return replace(self, errors=tuple(shown))

    def to_json(self) -> bytes:
        """Stored form."""
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "LabelCheck":
        """Parse the stored form."""
        document: dict[str, Any] = json.loads(data)
        errors = tuple(LabelError(**error) for error in document.pop("errors"))
        return cls(**document, errors=errors)

    def summary(self) -> dict[str, Any]:
        """For a project's details: the counts, and the first few."""
        first = [
            {
                "name": error.name[:200],
                "text": error.text[:100],
                "given": error.given,
                "likelier": error.likelier,
                "likelier_probability": error.likelier_probability,
            }
            for error in self.errors[:_FIRST]
        ]
        return {"examined": self.examined, "found": self.found, "first": first}


def check_labels(
    examples: Sequence[Example],
    classes: Sequence[str],
    features: Rows,
    candidates: Sequence[float] = CANDIDATES,
    most_kept: int = MOST_KEPT,
) -> LabelCheck:
    """Look for labels that the other examples speak against; `features` are in their order.

    The probabilities are those of linear heads that saw neither the example nor its copies.
    """
    labels = np.array([example.class_index for example in examples])
    groups = [example.group or example.sha256 for example in examples]
    logits = cross_validated_logits(features, labels, groups, len(classes), candidates)
    if logits is None:
        return LabelCheck()
    probabilities = softmax(logits / calibration.fit_temperature(logits, labels))
    doubtful = doubtful_labels(probabilities, labels)
    errors = []
    for index in doubtful[:most_kept]:
        example, row = examples[index], probabilities[index]
        likelier = int(row.argmax())
        errors.append(
            LabelError(
                sha256=example.sha256,
                name=example.source,
                split=str(example.split or ""),
                given=classes[example.class_index],
                likelier=classes[likelier],
                given_probability=round(float(row[example.class_index]), 4),
                likelier_probability=round(float(row[likelier]), 4),
            )
        )
    return LabelCheck(len(examples), len(doubtful), tuple(errors))


def doubtful_labels(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> list[int]:
    """Indices of examples whose label is likely wrong, the most doubtful first.

    Confident learning estimates how many there are; they are those whose label has the lowest
    probability, and another class a higher one. `probabilities` `(n, classes)` must be of models
    that had not seen the examples. Of the library's ways to choose, this found the most of labels
    that were flipped on purpose with the fewest others (`benchmarks/label_errors.py`).
    """
    from cleanlab.filter import find_label_issues

    found = find_label_issues(
        labels,
        probabilities,
        filter_by="low_self_confidence",
        return_indices_ranked_by="self_confidence",
        n_jobs=1,  # processes of its own would cost more than the search
    )
    return [int(index) for index in found if probabilities[index].argmax() != labels[index]]
