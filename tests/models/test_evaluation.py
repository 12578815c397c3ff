"""Figures of an evaluation, its stored form, and scoring a real bundle's predictor."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from contracts.bundle import ModelCard, Preprocessing
from contracts.errors import InvalidRequest
from contracts.manifest import Kind
from models.evaluation import PARITY_METRIC, Evaluation, evaluate
from serving.predictor import Outcomes
from serving.readers import Source
from tests.models.labelled_pictures import stored

PLAIN = Evaluation(
    model_version="draft-1",
    dataset_version="d" * 64,
    classes=("cat", "dog", "owl"),
    sha256s=tuple(f"{i:064x}" for i in range(6)),
    truth=(0, 0, 0, 1, 1, 1),
    predicted=(0, 0, 1, 1, 1, 2),
    confidence=(0.9, 0.8, 0.5, 0.9, 0.9, 0.4),
    unscaled_confidence=(0.9, 0.8, 0.5, 0.9, 0.9, 0.4),
    rejected=(False, False, True, False, False, False),
    latency_ms=5.0,
    bundle_size_bytes=1000,
)


def test_figures() -> None:
    assert PLAIN.correct == 4
    assert PLAIN.accuracy == pytest.approx(2 / 3)
    assert PLAIN.confusion.tolist() == [[2, 1, 0], [0, 2, 1], [0, 0, 0]]
    assert PLAIN.per_class_recall == pytest.approx((2 / 3, 2 / 3, 0))
    assert PLAIN.per_class_precision == pytest.approx((1, 2 / 3, 0))
    assert PLAIN.interval[0] < PLAIN.accuracy < PLAIN.interval[1]


def test_the_stored_form_comes_back() -> None:
    for evaluation in (PLAIN, replace(PLAIN, parity_error=1e-5, classes=("<b>", "😀", "c"))):
        assert Evaluation.from_json(evaluation.to_json()) == evaluation


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"schema_version": 9}', b"\xff"])
def test_a_broken_form_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        Evaluation.from_json(data)


@pytest.mark.parametrize("change", [{"predicted": (0,)}, {"predicted": (0, 0, 0, 0, 0, 3)}])
def test_an_inconsistent_one_is_refused(change: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(InvalidRequest, match="inconsistent"):
        replace(PLAIN, **change)


class Brightness:
    """Answers by the mean level of a picture: dark, grey or bright."""

    card = ModelCard(
        kind=Kind.IMAGE,
        classes=("dark", "grey", "bright"),
        preprocessing=Preprocessing(),
        dataset_version="d" * 64,
        backbone="none",
        recipe="draft",
        metrics={PARITY_METRIC: 2e-6},
    ).with_version()

    def outcomes(self, sources: Sequence[Source]) -> Outcomes:
        found = self.probabilities(sources)
        return Outcomes(found, found.max(axis=1) < 0.4)

    def probabilities(self, sources: Sequence[Source]) -> NDArray[np.float32]:
        levels = [np.asarray(Image.open(source)).mean() for source in sources]  # type: ignore[arg-type]
        distance = -np.abs(np.array(levels)[:, None] - np.array([0, 128, 255])) / 10
        exponents = np.exp(distance)
        return (exponents / exponents.sum(axis=1, keepdims=True)).astype(np.float32)


def test_a_predictor_is_scored_in_the_order_of_the_examples(tmp_path: Path) -> None:
    paths, examples = [], []
    for i in range(70):
        path = tmp_path / f"{i}.png"
        Image.new("L", (8, 8), (3, 120, 250)[i % 3] + i % 5).save(path)
        paths.append(path)
        examples.append(stored(path, i % 3 if i != 4 else 2))
    seen: list[float] = []
    found = evaluate(
        Brightness(),
        manifest_version="d" * 64,
        examples=examples,
        sources=paths,
        bundle_size_bytes=77,
        on_progress=seen.append,
    )
    assert np.flatnonzero(~found.is_right).tolist() == [4]
    assert found.sha256s == tuple(e.sha256 for e in examples)
    assert found.model_version == Brightness.card.model_version
    assert (found.parity_error, found.bundle_size_bytes) == (2e-6, 77)
    assert found.latency_ms > 0
    assert seen[-1] == 1.0
    assert Evaluation.from_json(found.to_json()) == found


def test_confidence_is_kept_without_temperature_as_well(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("L", (8, 8), 110).save(path)
    scaled = Brightness()
    scaled.card = replace(Brightness.card, temperature=2.0)  # type: ignore[misc]
    found = evaluate(
        scaled,
        manifest_version="d" * 64,
        examples=[stored(path, 1)],
        sources=[path],
        bundle_size_bytes=1,
    )
    logits = 2.0 * np.log(scaled.probabilities([path])[0])
    expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    assert found.unscaled_confidence[0] == pytest.approx(expected.max(), abs=1e-5)
    assert found.unscaled_confidence[0] > found.confidence[0]


def test_no_examples_give_no_figures() -> None:
    found = evaluate(
        Brightness(), manifest_version="d" * 64, examples=[], sources=[], bundle_size_bytes=1
    )
    assert (found.accuracy, found.interval, found.latency_ms) == (0.0, (0.0, 1.0), 0.0)
