"""The balanced recipe against a plain PyTorch loop on the same pictures: images/s and accuracy.

python -m benchmarks.throughput --weights mobilenet_v2_imagenet.pth FOLDER_PER_CLASS

The plain loop is what tutorials show: files are decoded and varied by torchvision's transforms in a
DataLoader of default settings, the last blocks and a new head are unfrozen, Adam, one process. Both
unfreeze the same blocks, take the same batches and as many epochs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.pictures import TEST, TRAIN, VALIDATION, Pictures
from benchmarks.recipes import run_as_deployed, served_logits
from models import zoo
from models.checkpoints import load_best
from models.data import TrainingData
from models.export import export_onnx
from models.recipe import Recipe
from models.torchlibs import torch, torchvision
from models.training import train

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PLAIN_RATE = 1e-3  # Adam's default


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rates", type=float, nargs="+", default=[PLAIN_RATE, 1e-4])
    parser.add_argument("--plain", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plain:
        print(json.dumps(plain(options, options.plain)))
        return
    rows = [(f"plain loop, rate {rate:g}", *in_default_settings(rate)) for rate in options.rates]
    run_as_deployed_once(rows)
    rows = json.loads(os.environ["PLAIN_ROWS"])
    rows.append(["balanced", *ours(options)])
    for name, speed, seconds, accuracy in rows:
        print(f"{name:24} {speed:6.1f} images/s  {seconds:5.0f} s in all  test {accuracy:.4f}")
    print(f"{rows[-1][1] / max(row[1] for row in rows[:-1]):.2f} times the images/s")


def in_default_settings(rate: float) -> tuple[float, float, float]:
    """A process of its own, without the settings that training runs are given here."""
    command = [sys.executable, "-m", "benchmarks.throughput", *sys.argv[1:], "--plain", str(rate)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    speed, seconds, accuracy = json.loads(done.stdout.splitlines()[-1])
    return speed, seconds, accuracy


def run_as_deployed_once(rows: Sequence[Any]) -> None:
    os.environ.setdefault("PLAIN_ROWS", json.dumps(rows))
    run_as_deployed("benchmarks.throughput")


class Files(torch.utils.data.Dataset[Any]):
    def __init__(self, paths: Sequence[Path], labels: Sequence[int], transform: Any) -> None:
        self.paths, self.labels, self.transform = paths, labels, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> Any:
        return self.transform(Image.open(self.paths[row]).convert("RGB")), self.labels[row]


def plain(options: argparse.Namespace, rate: float) -> tuple[float, float, float]:
    pictures, recipe = Pictures.read(options.pictures, options.seed), Recipe()
    torch.manual_seed(options.seed)
    v2 = torchvision.transforms
    learn = v2.Compose(
        [
            v2.RandomResizedCrop(224, scale=(recipe.smallest_crop, 1.0)),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(recipe.jitter, recipe.jitter),
            v2.ToTensor(),
            v2.Normalize(MEAN, STD),
        ]
    )
    check = v2.Compose([v2.Resize(224), v2.CenterCrop(224), v2.ToTensor(), v2.Normalize(MEAN, STD)])
    model = torchvision.models.mobilenet_v2()
    model.load_state_dict(torch.load(options.weights, weights_only=True))
    model.classifier[1] = torch.nn.Linear(model.last_channel, len(pictures.classes))
    model.features[: -recipe.unfrozen_blocks].requires_grad_(False)
    loader = torch.utils.data.DataLoader(
        Files(*pictures.of(TRAIN), learn), batch_size=recipe.batch_size, shuffle=True
    )
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=rate)
    began, trained = time.perf_counter(), 0
    for _ in range(recipe.epochs):
        model.train()
        for images, labels in loader:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
            trained += len(labels)
    seconds = time.perf_counter() - began
    model.eval()
    tests = torch.utils.data.DataLoader(Files(*pictures.of(TEST), check), batch_size=32)
    with torch.no_grad():
        right = [(model(images).argmax(1) == labels).numpy() for images, labels in tests]
    return trained / seconds, seconds, float(np.concatenate(right).mean())


def ours(options: argparse.Namespace) -> tuple[float, float, float]:
    pictures = Pictures.read(options.pictures, options.seed)
    recipe = replace(Recipe(), seed=options.seed)
    data = TrainingData(*pictures.of(TRAIN), *pictures.of(VALIDATION), pictures.classes)
    with tempfile.TemporaryDirectory() as scratch:
        trained = train(recipe, data, options.weights, Path(scratch) / "run")
        classifier, _ = load_best(trained.best_checkpoint)
        preprocessing = zoo.backbone_named(recipe.backbone).preprocessing
        graph = export_onnx(classifier, preprocessing)
        logits = served_logits(pictures, graph, recipe.backbone, 1.0, Path(scratch) / "bundle")
    right = logits.argmax(1) == np.array(pictures.of(TEST)[1])
    return trained.images_per_second, trained.seconds, float(right.mean())


if __name__ == "__main__":
    main()
