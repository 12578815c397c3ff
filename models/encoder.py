"""Features of pictures from a frozen ONNX encoder, without torch."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from contracts.bundle import Preprocessing
from serving.predictor import open_session
from serving.preprocess import crop, decode, normalise

# What the pixel encoder expects: small pictures, values in -1..1.
PIXELS: Final = Preprocessing(size=64, resize=64, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
OPSET: Final = 17
IR_VERSION: Final = 8  # the one of opset 17: readable by every ONNX Runtime since 1.12

_BATCHES_AHEAD = 2  # decoded while the graph runs; more would only hold memory


def extract(
    encoder: Path,
    sources: Sequence[Path | bytes],
    preprocessing: Preprocessing,
    batch_size: int = 32,
    threads: int = 2,
    on_progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Encode pictures as `(n, feature_dim)`; decoding overlaps inference, memory stays flat.

    `on_progress(done, total)` is called after each batch. Raises `UnreadableExample` for a picture
    that cannot be decoded and `BundleInvalid` for a broken encoder.
    """
    session = open_session(str(encoder), threads)
    name = session.get_inputs()[0].name
    rows: list[NDArray[np.float32]] = []
    done = 0
    for pixels in _decoded(sources, preprocessing, batch_size, threads):
        rows.append(session.run(None, {name: normalise(pixels, preprocessing)})[0])
        done += len(pixels)
        if on_progress:
            on_progress(done, len(sources))
    if not rows:
        return np.empty((0, session.get_outputs()[0].shape[1]), np.float32)
    return np.concatenate(rows)


def _decoded(
    sources: Sequence[Path | bytes], preprocessing: Preprocessing, batch_size: int, threads: int
) -> Iterator[NDArray[np.uint8]]:
    """Yield `(batch, size, size, 3)` uint8 in order, keeping a few batches in the making."""

    def pixels(source: Path | bytes) -> NDArray[np.uint8]:
        return crop(decode(source, preprocessing), preprocessing)

    iterator = iter(sources)
    ahead: deque[list[Future[NDArray[np.uint8]]]] = deque()
    with ThreadPoolExecutor(threads) as pool:  # Pillow decodes without holding the GIL
        try:
            while True:
                while len(ahead) < _BATCHES_AHEAD and (batch := list(islice(iterator, batch_size))):
                    ahead.append([pool.submit(pixels, source) for source in batch])
                if not ahead:
                    return
                yield np.stack([future.result() for future in ahead.popleft()])
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


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
