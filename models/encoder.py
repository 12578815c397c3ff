"""Features of examples from a frozen ONNX encoder, without torch."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from contracts.bundle import Preprocessing
from serving.predictor import open_session
from serving.readers import Reader, Source

# What the pixel encoder expects: small pictures, values in -1..1.
PIXELS: Final = Preprocessing(size=64, resize=64, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
OPSET: Final = 17
IR_VERSION: Final = 8  # the one of opset 17: readable by every ONNX Runtime since 1.12

# Pictures at once per thread: more would leave the processor's cache.
_BATCH = 8


def extract(
    encoder: Path,
    sources: Sequence[Source],
    reader: Reader,
    threads: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Encode examples as `(n, feature_dim)`, in order; memory stays flat.

    Every thread (default: one per core) reads and encodes examples of its own. Threads that share
    one picture's work wait for one another at every layer: a quarter slower, and far more so
    while anything else needs a core.
    `on_progress(done, total)` is called after each batch. Raises `UnreadableExample` for a picture
    that cannot be decoded and `BundleInvalid` for a broken encoder.
    """
    session = open_session(str(encoder), threads=1)
    name = session.get_inputs()[0].name

    def encode(batch: NDArray[np.int64]) -> NDArray[np.float32]:
        inputs = reader.read([sources[index] for index in batch])
        runs = [
            session.run(None, {name: inputs.rows[start : start + _BATCH]})[0]
            for start in range(0, len(inputs.rows), _BATCH)
        ]
        return inputs.merged(np.concatenate(runs))

    # Texts by length, so that little of a batch is padding.
    lengths = [len(source) if isinstance(source, str) else 0 for source in sources]
    order = np.argsort(lengths, kind="stable")
    batches = [order[start : start + _BATCH] for start in range(0, len(sources), _BATCH)]
    parts: list[NDArray[np.float32]] = []
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        try:
            for features in pool.map(encode, batches):
                parts.append(features)
                if on_progress:
                    on_progress(min(len(parts) * _BATCH, len(sources)), len(sources))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    if not parts:
        width = session.get_outputs()[0].shape[1]  # a name, where it is computed
        return np.empty((0, width if isinstance(width, int) else 0), np.float32)
    return np.concatenate(parts)[np.argsort(order, kind="stable")]


def pixel_encoder() -> bytes:
    """Build the encoder for places without pretrained weights: colours and edge directions.

    A grid of 8 × 8 mean colours and, per cell, the strength of edges in 8 directions, in the manner
    of HOG (Dalal and Triggs 2005). Input `PIXELS`, output `(n, 704)`.
    """
    nodes = [
        helper.make_node("AveragePool", ["image"], ["grid"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Flatten", ["grid"], ["colours"]),  # (n, 192)
        helper.make_node("Conv", ["image", "edges"], ["slopes"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["slopes"], ["rising"]),
        helper.make_node(
            "AveragePool", ["rising"], ["strengths"], kernel_shape=[8, 8], strides=[8, 8]
        ),
        helper.make_node("Sqrt", ["strengths"], ["evened"]),  # weak edges count, too
        helper.make_node("Flatten", ["evened"], ["shapes"]),  # (n, 512)
        helper.make_node("Concat", ["colours", "shapes"], ["features"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "pixels",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 64, 64])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 704])],
        [numpy_helper.from_array(_edge_filters(), "edges")],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(model)
    serialised: bytes = model.SerializeToString()
    return serialised


def _edge_filters() -> NDArray[np.float32]:
    """Sobel slopes of the grey picture in 8 directions, `(8, 3, 3, 3)`."""
    horizontal = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32) / 8
    angles = np.arange(8) * np.pi / 4
    filters = [np.cos(a) * horizontal + np.sin(a) * horizontal.T for a in angles]
    return np.stack([np.stack([f / 3] * 3) for f in filters]).astype(np.float32)
