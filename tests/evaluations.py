"""Evaluations as bundles get them, without a bundle."""

from models.evaluation import Evaluation

CLASSES = ("red", "green", "blue")


def evaluation(model_version: str, dataset_version: str, correct: int) -> Evaluation:
    """Answers to 600 made-up test examples, so many of them right."""
    total = 600
    truth = tuple(number % 3 for number in range(total))
    predicted = tuple(t if n < correct else (t + 1) % 3 for n, t in enumerate(truth))
    return Evaluation(
        model_version=model_version,
        dataset_version=dataset_version,
        classes=CLASSES,
        sha256s=tuple(f"{number:064x}" for number in range(total)),
        truth=truth,
        predicted=predicted,
        confidence=(0.9,) * total,
        unscaled_confidence=(0.9,) * total,
        rejected=(False,) * total,
        latency_ms=3.0,
        bundle_size_bytes=10_000,
    )
