"""What one prediction costs, step by step, beside the same picture through torch.

python -m benchmarks.serving --pictures FOLDER_PER_CLASS --weights mobilenet_v2_imagenet.pth
"""

import argparse
import base64
import contextlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from contracts.bundle import ModelCard, Preprocessing
from contracts.manifest import Kind
from lambdas import predict
from models.bundle_writer import write_bundle
from models.draft import draft_graph, fit_head
from models.encoder import extract
from serving.predictor import Predictor
from serving.preprocess import crop, decode, normalise
from serving.readers import Inputs, reader_of

PICTURES = 200

COLD = """
import time
start = time.perf_counter()
from pathlib import Path
from lambdas import predict
imported = time.perf_counter()
predict.BUNDLE = Path({bundle!r})
predict.predictor()
loaded = time.perf_counter()
import psutil
peak = psutil.Process().memory_info().rss / 2**20
print(imported - start, loaded - imported, peak)
"""

TORCH = """
import sys, time
from pathlib import Path
start = time.perf_counter()
from models.torchlibs import torch, torchvision
from PIL import Image
from models import zoo
model = zoo.build("mobilenet_v2", 6, Path({weights!r})).eval()
torch.set_num_threads(1)
loaded = time.perf_counter()
T = torchvision.transforms
steps = T.Compose([T.Resize(256), T.CenterCrop(224), T.ToTensor(),
                   T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
times = []
for path in {paths!r}:
    begin = time.perf_counter()
    with torch.no_grad():
        model(steps(Image.open(path).convert("RGB"))[None]).softmax(1)
    times.append(time.perf_counter() - begin)
print(loaded - start, sorted(times)[len(times) // 2] * 1000)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(scratch) / "bundle"
        paths = draft_bundle(bundle, options.pictures, options.weights)
        cold_start(bundle)
        steps(bundle, paths[:: max(len(paths) // PICTURES, 1)])
        through_torch(options.weights, paths[:: max(len(paths) // PICTURES, 1)])


def draft_bundle(bundle: Path, pictures: Path, weights: Path) -> list[Path]:
    """Make the bundle that the draft would serve; return its pictures."""
    encoder = bundle.parent / "encoder.onnx"
    command = [sys.executable, "-m", "models.export", "--backbone", "mobilenet_v2"]
    subprocess.run([*command, "--weights", weights, "--output", encoder], check=True)
    classes = tuple(sorted(path.name for path in pictures.iterdir() if path.is_dir()))
    paths = [path for name in classes for path in sorted((pictures / name).iterdir())]
    labels = np.array([classes.index(path.parent.name) for path in paths])
    began = time.perf_counter()
    features = extract(encoder, paths, reader_of(Preprocessing()))
    report("features through ONNX Runtime, 2 threads", len(paths) / passed(began), "images/s")
    began = time.perf_counter()
    head = fit_head(features, labels, np.arange(len(paths)) % 7 == 0, len(classes))
    report("head solved", passed(began), "s")
    card = ModelCard(Kind.IMAGE, classes, Preprocessing(), "0" * 64, "mobilenet_v2", "draft")
    write_bundle(bundle, card, draft_graph(encoder.read_bytes(), head))
    return paths


def cold_start(bundle: Path) -> None:
    """Import and load in new processes; the first one warms the file cache."""
    runs = []
    for _ in range(4):
        command = [sys.executable, "-c", COLD.format(bundle=str(bundle))]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        runs.append([float(value) for value in done.stdout.split()])
    imported, loaded, peak = (statistics.median(column) for column in zip(*runs[1:], strict=True))
    report("import of the handler", imported * 1000, "ms")
    report("load of the bundle", loaded * 1000, "ms")
    report("memory after load", peak, "MiB")


def steps(bundle: Path, paths: list[Path]) -> None:
    """Each step over real pictures, one thread, median."""
    predictor = Predictor.load(bundle)
    preprocessing = Preprocessing()
    data = [path.read_bytes() for path in paths]
    images = [decode(item, preprocessing) for item in data]
    pixels = [crop(image, preprocessing)[None] for image in images]
    tensors = [normalise(item, preprocessing) for item in pixels]
    timed("decode", lambda item: decode(item, preprocessing), data)
    timed("resize and crop", lambda item: crop(item, preprocessing), images)
    timed("normalise", lambda item: normalise(item, preprocessing), pixels)
    inputs = [Inputs(tensor, np.ones(1, np.int64)) for tensor in tensors]
    model = timed("model", predictor.predict, inputs)
    events = [{"image_base64": base64.b64encode(item).decode()} for item in data]
    predict.BUNDLE = bundle
    predict.predictor.cache_clear()

    def handle(event: dict[str, str]) -> object:
        with contextlib.redirect_stdout(io.StringIO()):
            answer = predict.handler(event, None)
        assert "label" in answer, answer
        return answer

    whole = timed("whole handler", handle, events)
    report("model's share of the handler", 100 * model / whole, "%")


def through_torch(weights: Path, paths: list[Path]) -> None:
    """The same pictures as its predecessors handled them: torch eager, full decoding."""
    program = TORCH.format(weights=str(weights), paths=[str(path) for path in paths])
    command = [sys.executable, "-c", program]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    loaded, milliseconds = (float(value) for value in done.stdout.split())
    report("torch: import and load", loaded * 1000, "ms")
    report("torch: decode, transform, model", milliseconds, "ms")


def timed(name: str, step: Callable[[Any], object], items: Sequence[Any]) -> float:
    step(items[0])
    times = []
    for item in items:
        began = time.perf_counter()
        step(item)
        times.append(passed(began))
    middle = statistics.median(times) * 1000
    report(name, middle, "ms")
    return middle


def passed(began: float) -> float:
    return time.perf_counter() - began


def report(name: str, value: float, unit: str) -> None:
    print(f"{name:<42} {value:10.2f} {unit}", flush=True)


if __name__ == "__main__":
    main()
