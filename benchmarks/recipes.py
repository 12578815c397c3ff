"""Drafts and recipes on folders of pictures: accuracy on a 30 % test part, speed, parity.

python -m benchmarks.recipes --weights mobilenet_v2_imagenet.pth FOLDER_PER_CLASS [FOLDER …]

Every recipe learns from the same split of each seed. With --results a run that was interrupted goes
on, and runs of several days make one table.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.pictures import TEST, TRAIN, VALIDATION, Pictures
from contracts.bundle import ModelCard
from contracts.manifest import Kind
from models import zoo
from models.bundle_writer import write_bundle
from models.calibration import fit_temperature
from models.calibration_report import expected_calibration_error
from models.checkpoints import EpochResult, load_best
from models.data import TrainingData
from models.draft import draft_graph, fit_head
from models.encoder import extract
from models.export import export_encoder, export_onnx
from models.recipe import Recipe
from models.torchlibs import torch
from models.training import train
from serving.predictor import LOGITS, Predictor, softmax
from serving.readers import reader_of

DRAFT = "draft"
TUNED = "tuned"  # the best of --tune trials
# What people do without this system: a small network from nothing, a new head on a frozen network,
# and unfreezing by stages.
ELSEWHERE = ("scratch:fcnn", "scratch", "head", "staged")
RECIPES = (DRAFT, *ELSEWHERE, "fast", "balanced", "accurate")
_ROWS = 32


@dataclass
class Score:
    """One recipe on one split."""

    pictures: str
    recipe: str
    seed: int
    seconds: float
    images_per_second: float
    is_right: list[bool]
    confidence: list[float]
    unscaled_confidence: list[float]
    other_labels: int = 0  # test pictures that torch and the bundle answer differently
    largest_difference: float = 0.0  # of their probabilities

    @property
    def accuracy(self) -> float:
        return statistics.mean(self.is_right)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--tune", type=int, default=0, help="trials; adds a row 'tuned'")
    parser.add_argument("--results", type=Path, help="file of JSON lines to go on from")
    parser.add_argument("--verbose", action="store_true", help="show every epoch")
    options = parser.parse_args()
    run_as_deployed("benchmarks.recipes")
    scores = read_scores(options.results)
    recipes = [*options.recipes, *([TUNED] if options.tune else [])]
    for folder in options.pictures:
        for seed in options.seeds:
            pictures = Pictures.read(folder, seed)
            for recipe in recipes:
                if (folder.name, recipe, seed) in {(s.pictures, s.recipe, s.seed) for s in scores}:
                    continue
                score = measure(pictures, recipe, seed, options)
                scores.append(score)
                print(
                    f"{folder.name} {recipe} seed {seed}: {score.accuracy:.4f}, "
                    f"{score.seconds:.0f} s, {score.images_per_second:.0f} images/s",
                    file=sys.stderr,
                    flush=True,
                )
                if options.results:
                    with options.results.open("a") as file:
                        file.write(json.dumps(asdict(score)) + "\n")
    for folder in options.pictures:
        Console(width=120).print(table_of(folder.name, recipes, scores))


def run_as_deployed(module: str) -> None:
    """Start anew with the variables that the training pool gives its runs, unless they are set."""
    document = yaml.safe_load((Path(__file__).parents[1] / "prefect.yaml").read_text())
    variables = document["definitions"]["training"]["job_variables"]["env"]
    if any(os.environ.get(name) != value for name, value in variables.items()):
        command = [sys.executable, "-m", module, *sys.argv[1:]]
        os.execve(sys.executable, command, os.environ | variables)


def read_scores(file: Path | None) -> list[Score]:
    if file is None or not file.exists():
        return []
    return [Score(**json.loads(line)) for line in file.read_text().splitlines()]


def measure(pictures: Pictures, recipe: str, seed: int, options: argparse.Namespace) -> Score:
    with tempfile.TemporaryDirectory() as scratch:
        if recipe == DRAFT:
            return draft(pictures, options.weights, seed, Path(scratch))
        return fine_tune(pictures, recipe, seed, options, Path(scratch))


def draft(pictures: Pictures, weights: Path, seed: int, scratch: Path) -> Score:
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
    logits = served_logits(pictures, graph, "mobilenet_v2", temperature, scratch / "bundle")
    return score_of(pictures, DRAFT, seed, seconds, len(sources) / seconds, logits, temperature)


def fine_tune(
    pictures: Pictures, name: str, seed: int, options: argparse.Namespace, scratch: Path
) -> Score:
    data = TrainingData(*pictures.of(TRAIN), *pictures.of(VALIDATION), pictures.classes)
    preset, _, backbone = name.partition(":")
    recipe = Recipe.from_name("balanced" if name == TUNED else preset)
    recipe = replace(recipe, seed=seed, backbone=backbone or recipe.backbone)
    weights = options.weights if zoo.backbone_named(recipe.backbone).has_weights else None
    began = time.perf_counter()
    if name == TUNED:
        recipe = tuned(recipe, data, weights, scratch / "search", options.tune)
    on_epoch = show if options.verbose else None
    trained = train(recipe, data, weights, scratch / "run", on_epoch=on_epoch)
    seconds = time.perf_counter() - began
    classifier, _ = load_best(trained.best_checkpoint)
    preprocessing = zoo.backbone_named(recipe.backbone).preprocessing
    temperature = fit_temperature(trained.held_out_logits, np.array(data.validation_labels))
    graph = export_onnx(classifier, preprocessing)
    logits = served_logits(pictures, graph, recipe.backbone, temperature, scratch / "bundle")
    score = score_of(pictures, name, seed, seconds, trained.images_per_second, logits, temperature)
    predictor = Predictor.load(scratch / "bundle", threads=2)
    expected = torch_probabilities(classifier, predictor, pictures.of(TEST)[0])
    served = softmax(logits / temperature)
    score.other_labels = int((expected.argmax(1) != served.argmax(1)).sum())
    score.largest_difference = float(np.abs(expected - served).max())
    return score


def tuned(
    recipe: Recipe, data: TrainingData, weights: Path | None, folder: Path, trials: int
) -> Recipe:
    from models.tuning import tune

    return tune(recipe, data, weights, folder, trials=trials).recipe


def served_logits(
    pictures: Pictures, graph: bytes, backbone: str, temperature: float, folder: Path
) -> NDArray[np.float32]:
    """What the bundle answers through the serving code, before its temperature."""
    preprocessing = zoo.backbone_named(backbone).preprocessing
    card = ModelCard(
        Kind.IMAGE, pictures.classes, preprocessing, "0" * 64, backbone, "tuned", temperature
    )
    write_bundle(folder, card, graph)
    predictor, (paths, _) = Predictor.load(folder, threads=2), pictures.of(TEST)
    parts = [
        predictor.run(predictor.read(paths[start : start + _ROWS]), LOGITS)[0]
        for start in range(0, len(paths), _ROWS)
    ]
    return np.concatenate(parts)


def torch_probabilities(
    classifier: zoo.Classifier, predictor: Predictor, paths: Sequence[Path]
) -> NDArray[np.float32]:
    parts = []
    with torch.inference_mode():
        for start in range(0, len(paths), _ROWS):
            rows = predictor.read(paths[start : start + _ROWS]).rows
            parts.append(classifier(torch.from_numpy(rows)).numpy())
    return softmax(np.concatenate(parts) / predictor.card.temperature)


def score_of(
    pictures: Pictures,
    recipe: str,
    seed: int,
    seconds: float,
    speed: float,
    logits: NDArray[np.float32],
    temperature: float,
) -> Score:
    scaled = softmax(logits / temperature)
    return Score(
        pictures.name,
        recipe,
        seed,
        seconds,
        speed,
        (scaled.argmax(1) == np.array(pictures.of(TEST)[1])).tolist(),
        scaled.max(1).tolist(),
        softmax(logits).max(1).tolist(),
    )


def table_of(pictures: str, recipes: Sequence[str], scores: Sequence[Score]) -> Table:
    """One row per recipe: mean ± standard deviation over the seeds."""
    table = Table(
        *("recipe", "accuracy", "against draft", "seconds", "images/s"),
        *("ECE unscaled", "ECE", "by chance", "pooled", "other labels", "difference"),
        title=pictures,
        box=None,
    )
    of_draft = {s.seed: s.accuracy for s in scores if (s.pictures, s.recipe) == (pictures, DRAFT)}
    for recipe in recipes:
        mine = [s for s in scores if (s.pictures, s.recipe) == (pictures, recipe)]
        if not mine:
            continue
        pooled = ece(
            [value for s in mine for value in s.confidence],
            [value for s in mine for value in s.is_right],
        )
        gains = [s.accuracy - of_draft[s.seed] for s in mine if s.seed in of_draft]
        table.add_row(
            recipe,
            spread([s.accuracy for s in mine]),
            spread(gains, "+.4f") if gains else "",
            f"{statistics.mean(s.seconds for s in mine):.0f}",
            f"{statistics.mean(s.images_per_second for s in mine):.0f}",
            f"{statistics.mean(ece(s.unscaled_confidence, s.is_right) for s in mine):.3f}",
            f"{statistics.mean(ece(s.confidence, s.is_right) for s in mine):.3f}",
            f"{statistics.mean(by_chance(s.confidence) for s in mine):.3f}",
            f"{pooled:.3f}",
            "" if recipe == DRAFT else f"{sum(s.other_labels for s in mine)}",
            "" if recipe == DRAFT else f"{max(s.largest_difference for s in mine):.1e}",
        )
    return table


def ece(confidence: list[float], is_right: list[bool]) -> float:
    return expected_calibration_error(np.array(confidence), np.array(is_right))


def by_chance(confidence: list[float], draws: int = 200) -> float:
    """What probabilities that are exactly right would be found to miss on so few examples."""
    random = np.random.default_rng(0)
    answers = random.random((draws, len(confidence))) < np.array(confidence)
    return statistics.mean(ece(confidence, row.tolist()) for row in answers)


def spread(values: Sequence[float], form: str = ".4f") -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):{form}} ± {deviation:.4f}"


def show(result: EpochResult) -> None:
    print(
        f"  epoch {result.epoch:2d}  validation {result.val_accuracy:.3f}, "
        f"loss {result.val_loss:.3f}  {result.seconds:5.1f} s",
        file=sys.stderr,
        flush=True,
    )


if __name__ == "__main__":
    main()
