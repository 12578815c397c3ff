"""Which unlabelled examples to label next: those a model is unsure about, and unlike one another.

Every choice takes the example of the largest uncertainty × density² × distance to those chosen
before. Uncertainty and distance are those of batch active learning (Ash et al. 2020, "Deep batch
active learning by diverse, uncertain gradient lower bounds"); density, the mean likeness to the
nearest neighbours, keeps single oddities from being asked about (Settles and Craven 2008).
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.errors import UnreadableExample
from models.novelty import normalised
from serving.predictor import FEATURES, LOGITS, NOVELTY, Predictor, softmax
from serving.readers import Source

# Cosine from which two examples are taken for copies.
ALIKE: Final = 0.98
MOST_WEIGHED: Final = 2_000  # examples whose features are kept: 10 MB for a MobileNetV2
_NEIGHBOURS: Final = 5
_DENSITY_POWER: Final = 2
_CLOSE: Final = 0.2  # a second class of this probability is a rival
_MOST_FEATURES: Final = 2_048  # more, such as word counts, are projected
_PROJECTED: Final = 256
_BATCH: Final = 8

_Units = NDArray[np.float32]  # (n, d), of length 1: their products are likenesses


@dataclass(frozen=True, slots=True)
class Candidate:
    """An example without a label."""

    name: str
    source: Source


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An example to label; `guess` is None where it is likely none of the classes."""

    name: str
    guess: str | None
    confidence: float  # 0..1, of the likeliest class
    likeliest: dict[str, float]  # the two likeliest classes
    reason: str
    text: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Candidates that may be worth a label; the arrays run over them."""

    candidates: list[Candidate]
    probabilities: NDArray[np.float32]  # (n, classes)
    is_rejected: NDArray[np.bool_]  # (n,): likely none of the classes
    units: _Units
    seen: int = 0
    left_out: Counter[str] = field(default_factory=Counter)  # by reason


def survey(
    predictor: Predictor,
    candidates: Iterable[Candidate],
    on_seen: Callable[[int], None] = lambda _: None,
) -> Pool:
    """Ask a model about many examples; the `MOST_WEIGHED` it is least sure of are kept.

    Its graph must give `features`, see `novelty.with_features`. What cannot be read is left out.
    """
    found: Pool | None = None
    workers = os.cpu_count() or 1
    chunks = _chunks(candidates, _BATCH * workers)
    with ThreadPoolExecutor(workers) as pool:
        for chunk in chunks:
            parts = [chunk[start : start + _BATCH] for start in range(0, len(chunk), _BATCH)]
            for scored in pool.map(lambda part: _scored(predictor, part), parts):
                found = scored if found is None else _joined(found, scored)
            assert found is not None
            if len(found.candidates) > 2 * MOST_WEIGHED:
                found = _least_sure(found)
            on_seen(found.seen)
    return _least_sure(found) if found else _nothing(predictor)


def suggestions(
    pool: Pool, classes: Sequence[str], count: int, known: _Units | None = None
) -> list[Suggestion]:
    """At most `count` of them, the most useful first; `known` `(m, d)` have labels already."""
    chosen = choose(pool.probabilities, pool.units, count, known)
    return [_suggestion(pool, index, classes) for index in chosen]


def choose(
    probabilities: NDArray[np.float32], units: _Units, count: int, known: _Units | None = None
) -> list[int]:
    """Rows of at most `count` examples, the most useful first; no copies, nor any of `known`."""
    if not len(units):
        return []
    weights = uncertainty(probabilities) * _density(units) ** _DENSITY_POWER
    is_open = np.ones(len(units), np.bool_)
    if known is not None and len(known):
        is_open = (units @ known.T).max(axis=1) < ALIKE
    distance = np.ones(len(units), np.float32)
    chosen: list[int] = []
    while len(chosen) < count and is_open.any():
        best = int(np.where(is_open, weights * distance, -1.0).argmax())
        chosen.append(best)
        likeness = units @ units[best]
        is_open &= likeness < ALIKE
        is_open[best] = False
        distance = np.minimum(distance, np.maximum(1 - likeness, 0))
    return chosen


def uncertainty(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """`(n,)`: 1 where the two likeliest classes are as likely as each other, 0 where one is."""
    second, first = np.sort(probabilities, axis=1)[:, -2:].T
    result: NDArray[np.float32] = 1 - (first - second)
    return result


def units_of(features: NDArray[np.float32]) -> _Units:
    """Features `(n, d)` as directions; very many are projected at random, which keeps likenesses.

    The projection is that of Achlioptas 2003.
    """
    if features.shape[1] > _MOST_FEATURES:
        generator = np.random.default_rng(0)
        signs = generator.integers(0, 2, (features.shape[1], _PROJECTED), np.int8)
        projected = features @ (2 * signs.astype(np.float32) - 1)
        lengths = np.maximum(np.linalg.norm(projected, axis=1, keepdims=True), 1e-9)
        units: _Units = (projected / lengths).astype(np.float32)
        return units
    return normalised(features)


def _density(units: _Units) -> NDArray[np.float32]:
    """Mean likeness to the nearest neighbours, `(n,)`, 0..1."""
    most = min(_NEIGHBOURS, len(units) - 1)
    if not most:
        return np.ones(len(units), np.float32)
    likeness = units @ units.T
    np.fill_diagonal(likeness, -np.inf)
    nearest = np.partition(likeness, -most, axis=1)[:, -most:]
    result: NDArray[np.float32] = np.clip(nearest.mean(axis=1), 0, 1)
    return result


def _scored(predictor: Predictor, candidates: Sequence[Candidate]) -> Pool:
    """The model's view of a batch, without those that cannot be read."""
    try:
        inputs = predictor.read([candidate.source for candidate in candidates])
    except UnreadableExample as error:
        if len(candidates) == 1:
            return replace(_nothing(predictor), seen=1, left_out=Counter([error.message]))
        singles = [_scored(predictor, [candidate]) for candidate in candidates]
        found = singles[0]
        for single in singles[1:]:
            found = _joined(found, single)
        return found
    threshold = predictor.card.rejection_threshold
    wanted = [LOGITS, FEATURES] + ([] if threshold is None else [NOVELTY])
    logits, features, *novelty = predictor.run(inputs, *wanted)
    return Pool(
        list(candidates),
        softmax(logits / predictor.card.temperature),
        np.zeros(len(candidates), np.bool_) if threshold is None else novelty[0] > threshold,
        units_of(features),
        seen=len(candidates),
    )


def _nothing(predictor: Predictor) -> Pool:
    classes = len(predictor.card.classes)
    none = np.empty((0, 0), np.float32)
    return Pool([], np.empty((0, classes), np.float32), np.empty(0, np.bool_), none)


def _joined(first: Pool, second: Pool) -> Pool:
    seen, left_out = first.seen + second.seen, first.left_out + second.left_out
    if not first.candidates or not second.candidates:
        kept = first if first.candidates else second
        return replace(kept, seen=seen, left_out=left_out)
    return Pool(
        first.candidates + second.candidates,
        np.concatenate([first.probabilities, second.probabilities]),
        np.concatenate([first.is_rejected, second.is_rejected]),
        np.concatenate([first.units, second.units]),
        seen,
        left_out,
    )


def _least_sure(pool: Pool) -> Pool:
    order = np.argsort(-uncertainty(pool.probabilities), kind="stable")[:MOST_WEIGHED]
    return replace(
        pool,
        candidates=[pool.candidates[index] for index in order],
        probabilities=pool.probabilities[order],
        is_rejected=pool.is_rejected[order],
        units=pool.units[order],
    )


def _suggestion(pool: Pool, index: int, classes: Sequence[str]) -> Suggestion:
    candidate, row = pool.candidates[index], pool.probabilities[index]
    first, second = (int(place) for place in np.argsort(-row, kind="stable")[:2])
    is_rejected = bool(pool.is_rejected[index])
    if is_rejected:
        reason = "unlike anything it has learnt from"
    elif row[second] >= _CLOSE:
        reason = f"unsure between {classes[first]} and {classes[second]}"
    else:
        reason = f"not sure that it is {classes[first]}"
    return Suggestion(
        name=candidate.name,
        guess=None if is_rejected else classes[first],
        confidence=round(float(row[first]), 4),
        likeliest={classes[place]: round(float(row[place]), 4) for place in (first, second)},
        reason=reason,
        text=candidate.source if isinstance(candidate.source, str) else "",
    )


def _chunks(candidates: Iterable[Candidate], size: int) -> Iterator[list[Candidate]]:
    iterator = iter(candidates)
    while chunk := list(islice(iterator, size)):
        yield chunk
