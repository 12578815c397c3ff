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

from contracts.bundle import Preprocessing, TextPreprocessing
from models import zoo
from models.encoder import OPSET
from models.torchlibs import torch
from serving.predictor import open_session


class _Embedding(torch.nn.Module):
    """A classifier's features instead of its logits."""

    def __init__(self, classifier: zoo.Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.classifier.embed(inputs)


class _Whole(torch.nn.Module):
    """A classifier's logits and features."""

    def __init__(self, classifier: zoo.Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.classifier.embed(inputs)
        return self.classifier.classify(features), features


def export_onnx(
    classifier: zoo.Classifier, preprocessing: Preprocessing | TextPreprocessing
) -> bytes:
    """Return a graph to `logits` `(n, classes)` and `features` `(n, feature_dim)`.

    From `image` `(n, 3, size, size)` float32, or `tokens` `(n, tokens)` int64.
    """
    return _export(_Whole(classifier), preprocessing, "logits", "features")


def export_encoder(backbone: str, weights: Path) -> bytes:
    """Return a graph to `features` `(n, feature_dim)`; raises `InvalidRequest`."""
    classifier = zoo.build(backbone, classes=2, weights=weights)
    preprocessing = zoo.backbone_named(backbone).preprocessing
    return _export(_Embedding(classifier), preprocessing, "features")


def parity_error(
    classifier: zoo.Classifier,
    graph: bytes,
    inputs: NDArray[np.float32] | NDArray[np.int64],
    threads: int = 2,
) -> float:
    """Largest absolute difference between the logits of torch and of ONNX Runtime.

    `inputs` should be of real examples: noise does not reach every unit.
    """
    classifier.eval()
    with torch.inference_mode():
        expected = classifier(torch.from_numpy(inputs)).numpy()
    session = open_session(graph, threads)
    served = session.run(None, {session.get_inputs()[0].name: inputs})[0]
    return float(np.abs(expected - served).max())


def _export(
    module: torch.nn.Module, preprocessing: Preprocessing | TextPreprocessing, *outputs: str
) -> bytes:
    if isinstance(preprocessing, Preprocessing):
        name, axes = "image", {0: "n"}
        example = torch.zeros(2, 3, preprocessing.size, preprocessing.size)
    else:
        name, axes = "tokens", {0: "n", 1: "length"}
        example = torch.ones(2, 16, dtype=torch.int64)
    # The TorchScript exporter: its successor needs a further dependency and gives the same graph.
    module = module.cpu().float().eval()
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # Attention's branches depend on the model's settings, not on the traced example.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        # Indices are never negative, and the graph's answers are compared with the model's.
        warnings.filterwarnings("ignore", message="Exporting aten::index operator")
        torch.onnx.export(
            module,
            (example,),
            buffer,  # type: ignore[arg-type]  # this exporter also writes to a buffer
            dynamo=False,
            opset_version=OPSET,
            input_names=[name],
            output_names=list(outputs),
            dynamic_axes={name: axes} | {output: {0: "n"} for output in outputs},
        )
    return buffer.getvalue()


def main(arguments: list[str] | None = None) -> None:
    """Write an encoder; the file appears whole or not at all."""
    parser = argparse.ArgumentParser(prog="python -m models.export", description=main.__doc__)
    parser.add_argument("--backbone", required=True, help="a name of models.backbones.known()")
    parser.add_argument("--weights", required=True, type=Path)
    parser.add_argument("--output", required=True, type=Path)
    options = parser.parse_args(arguments)
    graph = export_encoder(options.backbone, options.weights)
    part = options.output.with_name(f"{options.output.name}.part")
    part.write_bytes(graph)
    part.replace(options.output)


if __name__ == "__main__":
    main()
