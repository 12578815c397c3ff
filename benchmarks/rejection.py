"""How well a model tells what is none of its classes, with another data set as the unknown.

python -m benchmarks.rejection --weights mobilenet_v2_imagenet.pth FOLDER_PER_CLASS ANOTHER_FOLDER

Known are the test pictures of the set that a model learnt from, unknown those of the other set.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from benchmarks.pictures import TEST, TRAIN, VALIDATION, Pictures
from benchmarks.recipes import DRAFT, run_as_deployed
from contracts.bundle import ModelCard
from contracts.manifest import Kind
from models import novelty, zoo
from models.calibration import fit_temperature
from models.checkpoints import load_best
from models.data import TrainingData
from models.draft import draft_graph, fit_head
from models.encoder import extract
from models.export import export_encoder, export_onnx
from models.recipe import Recipe
from models.training import train
from serving.predictor import NOVELTY, Predictor
from serving.readers import reader_of

BACKBONE = "mobilenet_v2"
_ROWS = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs=2)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--recipes", nargs="+", default=[DRAFT, "balanced"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    run_as_deployed("benchmarks.rejection")
    table = Table(
        *("recipe", "learnt", "unknown", "AUROC", "false alarms", "unknown refused"), box=None
    )
    for recipe in options.recipes:
        for folders in (options.folders, options.folders[::-1]):
            rows = []
            for seed in options.seeds:
                known, unknown = (Pictures.read(folder, seed) for folder in folders)
                rows.append(measured(known, unknown, recipe, options.weights, seed))
                print(recipe, known.name, seed, rows[-1], file=sys.stderr, flush=True)
            mean, spread = np.mean(rows, axis=0), np.std(rows, axis=0)
            figures = [
                f"{m:.3f} ± {s:.3f}" if i == 0 else f"{m:.1%} ± {s:.1%}"
                for i, (m, s) in enumerate(zip(mean, spread, strict=True))
            ]
            table.add_row(recipe, folders[0].name, folders[1].name, *figures)
    Console(width=120).print(table)


def measured(
    known: Pictures, unknown: Pictures, recipe: str, weights: Path, seed: int
) -> tuple[float, float, float]:
    """AUROC, false alarms on test pictures, and how many unknown ones are refused."""
    predictor = served(known, recipe, weights, seed)
    threshold = predictor.card.rejection_threshold
    usual, strange = (scores(predictor, pictures.of(TEST)[0]) for pictures in (known, unknown))
    truth = np.concatenate([np.zeros(len(usual)), np.ones(len(strange))])
    return (
        float(roc_auc_score(truth, np.concatenate([usual, strange]))),
        float((usual > threshold).mean()),
        float((strange > threshold).mean()),
    )


def served(known: Pictures, recipe: str, weights: Path, seed: int) -> Predictor:
    """What a bundle would answer with that has learnt from a set's training pictures."""
    with tempfile.TemporaryDirectory() as scratch:
        if recipe == DRAFT:
            graph, temperature = drafted(known, weights, Path(scratch))
        else:
            graph, temperature = fine_tuned(known, recipe, weights, seed, Path(scratch))
    card = ModelCard(
        Kind.IMAGE,
        known.classes,
        zoo.backbone_named(BACKBONE).preprocessing,
        "0" * 64,
        BACKBONE,
        recipe,
        temperature,
    )
    paths, labels = ([*a, *b] for a, b in zip(known.of(TRAIN), known.of(VALIDATION), strict=True))
    is_validation = np.arange(len(paths)) >= len(known.of(TRAIN)[0])
    chosen = novelty.to_remember(np.array(labels))
    remembered = Predictor(card, graph, threads=1).features([paths[row] for row in chosen])
    memory = novelty.memory_of(remembered, is_validation[chosen])
    assert memory is not None
    knowing = novelty.with_novelty(graph, memory)
    return Predictor(replace(card, rejection_threshold=memory.threshold), knowing, threads=1)


def drafted(pictures: Pictures, weights: Path, scratch: Path) -> tuple[bytes, float]:
    """Graph and temperature."""
    encoder = scratch / "encoder.onnx"
    encoder.write_bytes(export_encoder(BACKBONE, weights))
    rows = pictures.part != TEST
    sources = [path for path, is_used in zip(pictures.paths, rows, strict=True) if is_used]
    features = extract(encoder, sources, reader_of(zoo.backbone_named(BACKBONE).preprocessing))
    is_validation = pictures.part[rows] == VALIDATION
    head = fit_head(features, pictures.labels[rows], is_validation, len(pictures.classes))
    temperature = fit_temperature(head.held_out_logits, head.held_out_labels)
    return draft_graph(encoder.read_bytes(), head), temperature


def fine_tuned(
    pictures: Pictures, name: str, weights: Path, seed: int, scratch: Path
) -> tuple[bytes, float]:
    """Graph and temperature."""
    data = TrainingData(*pictures.of(TRAIN), *pictures.of(VALIDATION), pictures.classes)
    trained = train(replace(Recipe.from_name(name), seed=seed), data, weights, scratch)
    temperature = fit_temperature(trained.held_out_logits, np.array(data.validation_labels))
    classifier, _ = load_best(trained.best_checkpoint)
    return export_onnx(classifier, zoo.backbone_named(BACKBONE).preprocessing), temperature


def scores(predictor: Predictor, paths: list[Path]) -> NDArray[np.float32]:
    """Novelty of pictures, through the served graph."""
    parts = [
        predictor.run(predictor.read(paths[start : start + _ROWS]), NOVELTY)[0]
        for start in range(0, len(paths), _ROWS)
    ]
    return np.concatenate(parts)


if __name__ == "__main__":
    main()
