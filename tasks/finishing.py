"""What is done to every graph before it is a bundle: made smaller, and taught what it knows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from prefect.logging import get_run_logger

from contracts.bundle import ModelCard
from contracts.manifest import Kind
from models import novelty
from models.quantisation import MOST_ACCURACY_LOST, quantised
from serving.predictor import Predictor
from serving.readers import Source

ACCURACY_LOST = "int8_accuracy_lost"  # 0..1, of the validation part; in the card's metrics


@dataclass(frozen=True)
class LearntExamples:
    """The training and the validation part, in one order."""

    sources: Sequence[Source]
    labels: NDArray[np.int64]
    is_validation: NDArray[np.bool_]


def finished(
    card: ModelCard,
    graph: bytes,
    tokenizer: bytes | None,
    learnt: LearntExamples,
    features: NDArray[np.float32] | None = None,
) -> tuple[ModelCard, bytes]:
    """Return the card and the graph to serve; the graph must give `logits` and `features`.

    Text is quantised where that costs hardly any accuracy. Then the graph gets its novelty, from
    features that it computes itself; for pictures, whose graph stays as it is, they may be given.
    """
    if card.kind is Kind.TEXT:
        card, graph = _smaller(card, graph, tokenizer, learnt)
    chosen = novelty.to_remember(learnt.labels)
    if features is None or card.kind is Kind.TEXT:
        predictor = Predictor(card, graph, threads=2, tokenizer=tokenizer)
        known = predictor.features([learnt.sources[index] for index in chosen])
    else:
        known = features[chosen]
    memory = novelty.memory_of(known, learnt.is_validation[chosen])
    if memory is None:
        return card, graph
    return replace(card, rejection_threshold=memory.threshold), novelty.with_novelty(graph, memory)


def _smaller(
    card: ModelCard, graph: bytes, tokenizer: bytes | None, learnt: LearntExamples
) -> tuple[ModelCard, bytes]:
    small = quantised(graph)
    check = np.flatnonzero(learnt.is_validation)
    sources, truth = [learnt.sources[int(index)] for index in check], learnt.labels[check]
    right = [
        float(np.mean(_answers(card, candidate, tokenizer, sources) == truth))
        for candidate in (graph, small)
    ]
    lost = right[0] - right[1]
    is_small = lost <= MOST_ACCURACY_LOST
    get_run_logger().info(
        "int8: %.1f of %.1f MB, right on %.1f%% instead of %.1f%% of the validation part: %s",
        len(small) / 1e6,
        len(graph) / 1e6,
        100 * right[1],
        100 * right[0],
        "served" if is_small else "not served",
    )
    metrics = card.metrics | {ACCURACY_LOST: round(lost, 6)}
    return replace(card, metrics=metrics), small if is_small else graph


def _answers(
    card: ModelCard, graph: bytes, tokenizer: bytes | None, sources: Sequence[Source]
) -> NDArray[np.int64]:
    predictor = Predictor(card, graph, threads=2, tokenizer=tokenizer)
    by_length = sorted(range(len(sources)), key=lambda index: len(str(sources[index])))
    rows = predictor.probabilities([sources[index] for index in by_length])
    answers = np.empty(len(sources), np.int64)
    answers[by_length] = rows.argmax(axis=1)
    return answers
