"""Whether a graph of text is served in int8: only where that costs hardly any accuracy."""

from collections.abc import Sequence

import numpy as np
from prefect.logging import get_run_logger

from contracts.bundle import ModelCard
from models.quantisation import MOST_ACCURACY_LOST, quantised
from serving.predictor import Predictor
from serving.readers import Source

ACCURACY_LOST = "int8_accuracy_lost"  # 0..1, of the validation part; in the card's metrics


def smaller(
    card: ModelCard,
    graph: bytes,
    tokenizer: bytes | None,
    sources: Sequence[Source],
    truth: Sequence[int],
) -> tuple[bytes, dict[str, float]]:
    """Return the graph to serve, and what quantising it costs on validation examples."""
    small = quantised(graph)
    right = [
        float(np.mean(_answers(card, candidate, tokenizer, sources) == np.array(truth)))
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
    return (small if is_small else graph), {ACCURACY_LOST: round(lost, 6)}


def _answers(
    card: ModelCard, graph: bytes, tokenizer: bytes | None, sources: Sequence[Source]
) -> np.ndarray:
    predictor = Predictor(card, graph, threads=2, tokenizer=tokenizer)
    by_length = sorted(range(len(sources)), key=lambda i: len(str(sources[i])))
    rows = predictor.probabilities([sources[i] for i in by_length])
    answers = np.empty(len(sources), np.int64)
    answers[by_length] = rows.argmax(axis=1)
    return answers
