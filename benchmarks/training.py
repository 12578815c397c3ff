"""Draft against fine-tuning on a folder of pictures: accuracy on a 30 % test part, and time.

python -m benchmarks.training --pictures FOLDER_PER_CLASS --weights mobilenet_v2_imagenet.pth
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from contracts.bundle import ModelCard
from contracts.limits import VALIDATION_SHARE
from contracts.manifest import Kind
from models import zoo
from models.bundle_writer import write_bundle
from models.calibration import fit_temperature
from models.checkpoints import EpochResult, load_best
from models.data import TrainingData
from models.draft import draft_graph, fit_head
from models.encoder import extract
from models.export import export_encoder, export_onnx, parity_error
from models.hardware import detected
from models.recipe import Recipe
from models.training import train
from serving.predictor import Predictor
from serving.readers import reader_of

TEST_SHARE = 0.30
TRAIN, VALIDATION, TEST = range(3)


@dataclass
class Pictures:
    paths: list[Path]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    part: NDArray[np.int64]

    def of(self, part: int) -> tuple[list[Path], list[int]]:
        rows = np.flatnonzero(self.part == part)
        return [self.paths[row] for row in rows], self.labels[rows].tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--recipe", default="balanced")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    run_as_deployed()
    drafts, tuned = [], []
    for seed in options.seeds:
        pictures = read(options.pictures, seed)
        with tempfile.TemporaryDirectory() as scratch:
            drafts.append(draft(pictures, options.weights, Path(scratch)))
            recipe = replace(Recipe.from_name(options.recipe), seed=seed)
            tuned.append(fine_tune(pictures, options.weights, Path(scratch), recipe))
    print(f"mean of {len(drafts)}: draft {statistics.mean(drafts):.4f}", end=", ")
    print(f"fine-tuned {statistics.mean(tuned):.4f}")


def run_as_deployed() -> None:
    """Start anew with the variables that the training pool gives its runs, unless they are set."""
    document = yaml.safe_load((Path(__file__).parents[1] / "prefect.yaml").read_text())
    variables = document["definitions"]["training"]["job_variables"]["env"]
    if any(os.environ.get(name) != value for name, value in variables.items()):
        module = [sys.executable, "-m", "benchmarks.training", *sys.argv[1:]]
        os.execve(sys.executable, module, os.environ | variables)


def read(folder: Path, seed: int) -> Pictures:
    """Split every class at random; the product's own splitter also keeps near copies together."""
    classes = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))
    paths = [path for name in classes for path in sorted((folder / name).iterdir())]
    labels = np.array([classes.index(path.parent.name) for path in paths])
    part = np.full(len(paths), TRAIN)
    random = np.random.default_rng(seed)
    for index in range(len(classes)):
        rows = random.permutation(np.flatnonzero(labels == index))
        test = round(TEST_SHARE * len(rows))
        validation = max(1, round(VALIDATION_SHARE * (len(rows) - test)))
        part[rows[:test]] = TEST
        part[rows[test : test + validation]] = VALIDATION
    return Pictures(paths, labels, classes, part)


def draft(pictures: Pictures, weights: Path, scratch: Path) -> float:
    encoder = scratch / "encoder.onnx"
    encoder.write_bytes(export_encoder("mobilenet_v2", weights))
    began = time.perf_counter()
    rows = pictures.part != TEST
    sources = [path for path, is_used in zip(pictures.paths, rows, strict=True) if is_used]
    preprocessing = zoo.backbone_named("mobilenet_v2").preprocessing
    features = extract(encoder, sources, reader_of(preprocessing))
    is_validation = pictures.part[rows] == VALIDATION
    head = fit_head(features, pictures.labels[rows], is_validation, len(pictures.classes))
    seconds = time.perf_counter() - began
    temperature = fit_temperature(head.held_out_logits, head.held_out_labels)
    graph = draft_graph(encoder.read_bytes(), head)
    score = served_accuracy(pictures, graph, "draft", temperature, scratch / "draft")
    print(f"draft       test {score:.4f}  {seconds:5.0f} s  C {head.c_regularisation}", flush=True)
    return score


def fine_tune(pictures: Pictures, weights: Path, scratch: Path, recipe: Recipe) -> float:
    data = TrainingData(*pictures.of(TRAIN), *pictures.of(VALIDATION), pictures.classes)
    trained = train(recipe, data, weights, scratch / "run", on_epoch=show, hardware=detected())
    classifier, _ = load_best(trained.best_checkpoint)
    graph = export_onnx(classifier, zoo.backbone_named(recipe.backbone).preprocessing)
    score = served_accuracy(pictures, graph, recipe.name, 1.0, scratch / "tuned")
    predictor = Predictor.load(scratch / "tuned")
    images = np.stack([predictor.decode(path) for path in pictures.of(TEST)[0][:32]])
    print(
        f"fine-tuned  test {score:.4f}  {trained.seconds:5.0f} s  best epoch {trained.best_epoch} "
        f"of {trained.epochs}, {trained.images_per_second:.0f} images/s, "
        f"parity {parity_error(classifier, graph, images):.1e}",
        flush=True,
    )
    return score


def served_accuracy(
    pictures: Pictures, graph: bytes, recipe: str, temperature: float, folder: Path
) -> float:
    preprocessing = zoo.backbone_named("mobilenet_v2").preprocessing
    card = ModelCard(
        Kind.IMAGE,
        pictures.classes,
        preprocessing,
        "0" * 64,
        "mobilenet_v2",
        recipe,
        temperature,
    )
    write_bundle(folder, card, graph)
    paths, labels = pictures.of(TEST)
    predicted = Predictor.load(folder, threads=2).probabilities(paths).argmax(1)
    return float((predicted == np.array(labels)).mean())


def show(result: EpochResult) -> None:
    print(
        f"  epoch {result.epoch:2d}  validation {result.val_accuracy:.3f}, "
        f"loss {result.val_loss:.3f}  {result.seconds:5.1f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
