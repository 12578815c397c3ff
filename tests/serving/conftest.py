"""A bundle small enough to understand: it answers with the picture's mean colour."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from contracts.bundle import ModelCard, Preprocessing
from contracts.manifest import Kind
from models.bundle_writer import write_bundle

CLASSES = ("rot", "grün", "🔵")


def colour_graph() -> bytes:
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Mul", ["flat", "gain"], ["logits"]),
        # What has no colour is novel.
        helper.make_node("ReduceMax", ["flat"], ["most"], axes=[1], keepdims=0),
        helper.make_node("ReduceMin", ["flat"], ["least"], axes=[1], keepdims=0),
        helper.make_node("Sub", ["least", "most"], ["novelty"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colour",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 16, 16])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3]),
            helper.make_tensor_value_info("novelty", TensorProto.FLOAT, ["n"]),
        ],
        [numpy_helper.from_array(np.array([4.0], np.float32), "gain")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def colour_card(**changes: object) -> ModelCard:
    values: dict[str, object] = {
        "kind": Kind.IMAGE,
        "classes": CLASSES,
        "preprocessing": Preprocessing(16, 16, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        "dataset_version": "0" * 64,
        "backbone": "colour",
        "recipe": "draft",
    }
    return ModelCard(**(values | changes))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "bundle", colour_card(rejection_threshold=-0.5), colour_graph())
    return tmp_path / "bundle"
