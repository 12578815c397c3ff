"""From torch to ONNX, and the proof that both give the same answers.

`python -m models.export --backbone mobilenet_v2 --weights w.pth --output encoder.onnx` writes the
draft's encoder in a process of its own, so that orchestration never loads torch.
"""

import argparse
import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import zoo
from models.encoder import OPSET
from models.torchlibs import torch
from serving.predictor import open_session


class _Embedding(torch.nn.Module):
    """A classifier's features instead of its logits."""

    def __init__(self, classifier: zoo.Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.classifier.embed(image)


def export_onnx(classifier: zoo.Classifier, size: int) -> bytes:
    """Return a graph from `image` `(n, 3, size, size)` float32 to `logits` `(n, classes)`."""
    return _export(classifier, size, "logits")


def export_encoder(backbone: str, weights: Path) -> bytes:
    """Return a graph from `image` to `features` `(n, feature_dim)`; raises `InvalidRequest`."""
    classifier = zoo.build(backbone, classes=2, weights=weights)
    size = zoo.backbone_named(backbone).preprocessing.size
    return _export(_Embedding(classifier), size, "features")


def parity_error(
    classifier: zoo.Classifier, graph: bytes, images: NDArray[np.float32], threads: int = 2
) -> float:
    """Largest absolute difference between the logits of torch and of ONNX Runtime.

    `images` `(n, 3, size, size)` should be real pictures: noise does not reach every unit.
    """
    classifier.eval()
    with torch.inference_mode():
        expected = classifier(torch.from_numpy(images)).numpy()
    served = open_session(graph, threads).run(None, {"image": images})[0]
    return float(np.abs(expected - served).max())


def _export(module: torch.nn.Module, size: int, output: str) -> bytes:
    # The TorchScript exporter: its successor needs a further dependency and gives the same graph.
    module = module.cpu().float().eval()
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            module,
            (torch.zeros(2, 3, size, size),),
            buffer,  # type: ignore[arg-type]  # this exporter also writes to a buffer
            dynamo=False,
            opset_version=OPSET,
            input_names=["image"],
            output_names=[output],
            dynamic_axes={"image": {0: "n"}, output: {0: "n"}},
        )
    return buffer.getvalue()


def main(arguments: list[str] | None = None) -> None:
    """Write an encoder; the file appears whole or not at all."""
    parser = argparse.ArgumentParser(prog="python -m models.export", description=main.__doc__)
    parser.add_argument("--backbone", required=True, choices=sorted(zoo.ZOO))
    parser.add_argument("--weights", required=True, type=Path)
    parser.add_argument("--output", required=True, type=Path)
    options = parser.parse_args(arguments)
    graph = export_encoder(options.backbone, options.weights)
    part = options.output.with_name(f"{options.output.name}.part")
    part.write_bytes(graph)
    part.replace(options.output)


if __name__ == "__main__":
    main()
