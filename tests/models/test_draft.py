from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from contracts.errors import DataProblem
from models.draft import draft_graph, fit_head
from models.encoder import PIXELS, extract, pixel_encoder
from serving.preprocess import decode, to_tensor
from serving.readers import reader_of
from tests.models.pictures import write_digits


def clouds(
    per_class: int, classes: int, distance: float = 3.0, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Gaussian clouds in 20 dimensions of different scales."""
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, 20)) * distance / np.sqrt(20)
    labels = np.repeat(np.arange(classes), per_class)
    rows = centres[labels] + generator.normal(size=(len(labels), 20))
    return (rows * np.logspace(-0.4, 0.4, 20) + 5).astype(np.float32), labels


@pytest.mark.parametrize("classes", [2, 3, 12])
@pytest.mark.parametrize("per_class", [8, 80])
def test_separable_clouds_are_separated(classes: int, per_class: int) -> None:
    rows, labels = clouds(per_class, classes, distance=12)
    head = fit_head(rows, labels, np.arange(len(labels)) % 8 == 0, classes)
    assert head.weight.shape == (20, classes)
    assert ((rows @ head.weight + head.bias).argmax(1) == labels).all()
    assert head.validation_accuracy > 0.95


def test_few_examples_are_all_held_out_once() -> None:
    rows, labels = clouds(8, 3)
    head = fit_head(rows, labels, np.arange(24) % 8 == 0, 3)
    assert head.held_out_logits.shape == (24, 3)
    assert sorted(head.held_out_labels) == sorted(labels)


def test_many_examples_are_judged_on_the_validation_part() -> None:
    rows, labels = clouds(80, 3)
    is_validation = np.arange(240) % 8 == 0
    head = fit_head(rows, labels, is_validation, 3)
    assert list(head.held_out_labels) == list(labels[is_validation])


def test_the_accuracy_it_states_is_that_of_unseen_examples() -> None:
    rows, labels = clouds(10, 2, distance=0.0)  # nothing to learn
    head = fit_head(rows, labels, np.arange(20) % 10 == 0, 2)
    assert head.validation_accuracy < 0.8


def test_the_validation_part_can_be_kept_out_of_the_head() -> None:
    rows, labels = clouds(80, 2)
    is_validation = np.arange(160) % 8 == 0
    poisoned = rows.copy()
    poisoned[is_validation] *= 50
    heads = [
        fit_head(features, labels, is_validation, 2, learn_validation=False)
        for features in (rows, poisoned)
    ]
    same_c = heads[0].c_regularisation == heads[1].c_regularisation
    assert not same_c or np.array_equal(heads[0].weight, heads[1].weight)
    kept_in = fit_head(poisoned, labels, is_validation, 2)
    assert not np.array_equal(kept_in.weight, heads[1].weight)


def test_constant_features_do_no_harm() -> None:
    rows, labels = clouds(20, 2, distance=12)
    rows[:, 3] = 7
    head = fit_head(rows, labels, np.arange(40) % 8 == 0, 2)
    assert np.isfinite(head.weight).all()
    assert np.isfinite(head.bias).all()


def test_a_class_without_examples_is_refused() -> None:
    rows, labels = clouds(10, 2)
    with pytest.raises(DataProblem, match=r"\[2\] of 3"):
        fit_head(rows, labels, np.zeros(20, bool), 3)


def test_the_joined_graph_gives_the_heads_logits(tmp_path: Path) -> None:
    paths, digits = write_digits(tmp_path / "digits", 120, classes=3)
    (tmp_path / "encoder.onnx").write_bytes(pixel_encoder())
    features = extract(tmp_path / "encoder.onnx", paths, reader_of(PIXELS))
    head = fit_head(features, np.array(digits), np.arange(120) % 6 == 0, 3)
    session = onnxruntime.InferenceSession(draft_graph(pixel_encoder(), head))
    images = np.stack([to_tensor(decode(path, PIXELS), PIXELS) for path in paths])
    (logits,) = session.run(["logits"], {"image": images})
    assert np.abs(logits - (features @ head.weight + head.bias)).max() < 1e-3
