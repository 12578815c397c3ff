"""None of the classes: how far an example is from everything that was learnt from.

The score is one minus the cosine between an example's features and its fifth nearest neighbour
among the learnt ones (Sun et al. 2022, "Out-of-distribution detection with deep nearest
neighbors"), after the square root of each feature, which keeps a few large ones from deciding alone
(Perronnin et al. 2010). No example of anything else is needed. It is part of the served graph.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from serving.predictor import FEATURES, NOVELTY

NEIGHBOURS: Final = 5
MOST_REMEMBERED: Final = 2_000  # examples; 5 MB for a MobileNetV2
FALSE_ALARMS: Final = 0.03  # share of examples like the learnt ones that is refused
_LEAST: Final = 3 * NEIGHBOURS  # with fewer, nothing can be said

_Features = NDArray[np.float32]  # (n, feature_dim)


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """Features of learnt examples `(m, feature_dim)` of length 1, and the highest usual score."""

    rows: NDArray[np.float16]
    threshold: float


def to_remember(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which of the examples `(n,)` are remembered: all, or as many of each class as there is room.

    The choice depends on the labels alone.
    """
    if len(labels) <= MOST_REMEMBERED:
        return np.arange(len(labels))
    generator = np.random.default_rng(0)
    shuffled = generator.permutation(len(labels))
    rank = np.empty(len(labels), np.int64)  # of each example within its class
    for index in np.unique(labels):
        mine = shuffled[labels[shuffled] == index]
        rank[mine] = np.arange(len(mine))
    return np.sort(np.argsort(rank, kind="stable")[:MOST_REMEMBERED])


def memory_of(features: _Features, is_held_out: NDArray[np.bool_]) -> Memory | None:
    """Remember examples; None where they are too few to tell what is usual.

    The threshold is what `FALSE_ALARMS` of them exceed, each measured by the others; the features
    may know those they were tuned on too well, so those that were held out must agree.
    """
    if len(features) < _LEAST:
        return None
    rows = normalised(features).astype(np.float16)
    exact = rows.astype(np.float32)
    likeness = exact @ exact.T
    np.fill_diagonal(likeness, -np.inf)  # nobody is its own neighbour
    scores = 1 - np.sort(likeness, axis=1)[:, -NEIGHBOURS]
    parts = [part for part in (scores[is_held_out], scores[~is_held_out]) if len(part)]
    return Memory(rows, max(float(np.quantile(part, 1 - FALSE_ALARMS)) for part in parts))


def novelty(features: _Features, memory: Memory) -> NDArray[np.float32]:
    """Scores `(n,)`, as the graph of `with_novelty` gives them."""
    likeness = normalised(features) @ memory.rows.astype(np.float32).T
    scores: NDArray[np.float32] = 1 - np.sort(likeness, axis=1)[:, -NEIGHBOURS]
    return scores


def with_novelty(graph: bytes, memory: Memory, features: str = FEATURES) -> bytes:
    """Add the output `novelty` `(n,)` to a graph that computes `features` `(n, feature_dim)`.

    Should the features be an output themselves, they no longer are.
    """
    model = onnx.load_from_string(graph)
    name = "novelty."
    constants: dict[str, NDArray[Any]] = {
        "rows": memory.rows.T.copy(),
        "k": np.array([NEIGHBOURS], np.int64),
        "last": np.array(NEIGHBOURS - 1, np.int64),
        "one": np.array(1, np.float32),
        "tiny": np.array(1e-9, np.float32),
    }
    model.graph.initializer.extend(
        [numpy_helper.from_array(value, name + key) for key, value in constants.items()]
    )
    steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("Abs", [features], "size", {}),
        ("Sqrt", ["size"], "root", {}),
        ("Sign", [features], "sign", {}),
        ("Mul", ["root", "sign"], "even", {}),
        ("ReduceL2", ["even"], "length", {"axes": [1], "keepdims": 1}),
        ("Max", ["length", "tiny"], "divisor", {}),
        ("Div", ["even", "divisor"], "unit", {}),
        ("Cast", ["rows"], "exact", {"to": TensorProto.FLOAT}),
        ("MatMul", ["unit", "exact"], "likeness", {}),
    ]
    for operator, inputs, output, attributes in steps:
        given = [one if one == features else name + one for one in inputs]
        model.graph.node.append(helper.make_node(operator, given, [name + output], **attributes))
    model.graph.node.extend(
        [
            helper.make_node("TopK", [name + "likeness", name + "k"], [name + "near", name + "_"]),
            helper.make_node("Gather", [name + "near", name + "last"], [name + "fifth"], axis=1),
            helper.make_node("Sub", [name + "one", name + "fifth"], [NOVELTY]),
        ]
    )
    kept = [output for output in model.graph.output if output.name != features]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    model.graph.output.append(helper.make_tensor_value_info(NOVELTY, TensorProto.FLOAT, ["n"]))
    onnx.checker.check_model(model)
    serialised: bytes = model.SerializeToString()
    return serialised


def with_features(graph: bytes) -> tuple[bytes, NDArray[np.float32] | None]:
    """Let a served graph give its features again; also the rows that it remembers, if it does."""
    model = onnx.load_from_string(graph)
    if FEATURES not in {output.name for output in model.graph.output}:
        model.graph.output.append(
            helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["n", "feature_dim"])
        )
    rows = [
        numpy_helper.to_array(value).T.astype(np.float32)
        for value in model.graph.initializer
        if value.name == "novelty.rows"
    ]
    return model.SerializeToString(), rows[0] if rows else None


def normalised(features: _Features) -> NDArray[np.float32]:
    """Rows of length 1, whose products are likenesses."""
    even = np.sign(features) * np.sqrt(np.abs(features))
    lengths = np.maximum(np.linalg.norm(even, axis=1, keepdims=True), 1e-9)
    result: NDArray[np.float32] = (even / lengths).astype(np.float32)
    return result
