"""None of the classes: the graph gives the same scores, and strange things get high ones."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from models import novelty
from models.encoder import IR_VERSION, OPSET
from serving.predictor import open_session

HELD_OUT = np.arange(200) % 5 == 0


def identity_graph(dim: int, *, gives_features: bool) -> bytes:
    """`image` is the features already; the logits are their copy."""
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", dim])]
    if gives_features:
        outputs.append(helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", dim]))
    graph = helper.make_graph(
        [
            helper.make_node("Identity", ["image"], ["features"]),
            helper.make_node("Identity", ["features"], ["logits"]),
        ],
        "identity",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", dim])],
        outputs,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def clusters(seed: int, count: int = 200, dim: int = 16, noise: float = 0.4) -> np.ndarray:
    """Two kinds of features, signed; the same kinds for every seed."""
    centres = np.random.default_rng(99).normal(size=(2, dim)) * 3
    generator = np.random.default_rng(seed)
    rows = centres[np.arange(count) % 2] + generator.normal(size=(count, dim)) * noise
    return rows.astype(np.float32)


@pytest.mark.parametrize("gives_features", [True, False])
def test_the_graph_gives_the_scores(gives_features: bool) -> None:
    memory = novelty.memory_of(clusters(0), HELD_OUT)
    assert memory is not None
    graph = novelty.with_novelty(identity_graph(16, gives_features=gives_features), memory)
    session = open_session(graph)
    assert [output.name for output in session.get_outputs()] == ["logits", "novelty"]
    asked = np.concatenate([clusters(1, 9), np.zeros((1, 16), np.float32)])
    logits, scores = session.run(None, {"image": asked})
    assert np.array_equal(logits, asked)
    assert np.abs(scores - novelty.novelty(asked, memory)).max() < 1e-3
    assert scores[-1] == pytest.approx(1)  # of no direction, hence like nothing


def test_strange_examples_are_told_from_usual_ones() -> None:
    memory = novelty.memory_of(clusters(0), HELD_OUT)
    assert memory is not None
    usual = novelty.novelty(clusters(1), memory)
    strange = novelty.novelty(
        np.random.default_rng(5).normal(size=(200, 16)).astype(np.float32), memory
    )
    assert (usual > memory.threshold).mean() < 3 * novelty.FALSE_ALARMS
    assert (strange > memory.threshold).mean() > 0.9


def test_copies_do_not_make_an_example_usual_by_themselves() -> None:
    """Each is measured by the others, or the threshold would be 0."""
    memory = novelty.memory_of(clusters(0), HELD_OUT)
    assert memory is not None
    assert memory.threshold > 0.001


def test_features_that_know_the_learnt_too_well_are_not_trusted() -> None:
    """Tuning draws what it has seen together; what it has not stays where it was."""
    tight = np.where(HELD_OUT[:, None], clusters(0), clusters(0, noise=0.05))
    alone = novelty.memory_of(tight[~HELD_OUT], np.zeros(int((~HELD_OUT).sum()), bool))
    both = novelty.memory_of(tight, HELD_OUT)
    assert alone is not None
    assert both is not None
    assert both.threshold > alone.threshold


def test_too_few_examples_tell_nothing() -> None:
    assert novelty.memory_of(clusters(0, 14), HELD_OUT[:14]) is None
    assert novelty.memory_of(clusters(0, 15), HELD_OUT[:15]) is not None


def test_there_is_room_for_every_class() -> None:
    labels = np.array([0] * 50_000 + [1] * 30 + [2] * 3_000)
    chosen = novelty.to_remember(labels)
    assert len(chosen) == novelty.MOST_REMEMBERED == len(set(chosen.tolist()))
    counts = np.bincount(labels[chosen])
    assert counts[1] == 30
    assert abs(counts[0] - counts[2]) <= 1
    assert np.array_equal(chosen, novelty.to_remember(labels))
    assert novelty.to_remember(labels[-40:]).tolist() == list(range(40))
