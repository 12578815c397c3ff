"""How well a draft tells what is none of its classes, with another data set as the unknown.

python -m benchmarks.rejection --weights mobilenet_v2_imagenet.pth FOLDER_PER_CLASS ANOTHER_FOLDER
"""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from contracts.bundle import ModelCard, Preprocessing
from contracts.manifest import Kind
from models import novelty
from models.draft import draft_graph, fit_head
from models.encoder import extract
from serving.predictor import NOVELTY, Predictor
from serving.readers import reader_of

SEEDS = 3
TEST_SHARE = 0.3


@dataclass(frozen=True)
class Pictures:
    """A data set and its features."""

    name: str
    classes: tuple[str, ...]
    paths: list[Path]
    labels: np.ndarray
    features: np.ndarray

    @classmethod
    def read(cls, folder: Path, encoder: Path) -> "Pictures":
        classes = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))
        paths = [
            path
            for name in classes
            for path in sorted((folder / name).iterdir())
            if path.suffix.lower() in {".jpg", ".jpeg", ".png"}
        ]
        labels = np.array([classes.index(path.parent.name) for path in paths])
        features = extract(encoder, paths, reader_of(Preprocessing()))
        return cls(folder.name, classes, paths, labels, features)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs=2)
    parser.add_argument("--weights", type=Path, required=True)
    options = parser.parse_args()
    table = Table("learnt", "unknown", "AUROC", "false alarms", "unknown refused", box=None)
    with tempfile.TemporaryDirectory() as scratch:
        encoder = Path(scratch) / "encoder.onnx"
        command = [sys.executable, "-m", "models.export", "--backbone", "mobilenet_v2"]
        subprocess.run([*command, "--weights", options.weights, "--output", encoder], check=True)
        first, second = (Pictures.read(folder, encoder) for folder in options.folders)
        for known, unknown in ((first, second), (second, first)):
            rows = [measured(known, unknown, encoder, seed) for seed in range(SEEDS)]
            mean, spread = np.mean(rows, axis=0), np.std(rows, axis=0)
            figures = [
                f"{m:.3f} ± {s:.3f}" if i == 0 else f"{m:.1%} ± {s:.1%}"
                for i, (m, s) in enumerate(zip(mean, spread, strict=True))
            ]
            table.add_row(known.name, unknown.name, *figures)
    Console().print(table)


def measured(
    known: Pictures, unknown: Pictures, encoder: Path, seed: int
) -> tuple[float, float, float]:
    """AUROC, false alarms on held-out pictures, and how many unknown ones are refused."""
    generator = np.random.default_rng(seed)
    is_test = generator.random(len(known.labels)) < TEST_SHARE
    learnt, labels = known.features[~is_test], known.labels[~is_test]
    head = fit_head(learnt, labels, np.arange(len(labels)) % 7 == 0, len(known.classes))
    chosen = novelty.to_remember(labels)
    memory = novelty.memory_of(learnt[chosen], chosen % 7 == 0)
    assert memory is not None
    graph = novelty.with_novelty(draft_graph(encoder.read_bytes(), head), memory)
    card = ModelCard(
        Kind.IMAGE,
        known.classes,
        Preprocessing(),
        "0" * 64,
        "mobilenet_v2",
        "draft",
        rejection_threshold=memory.threshold,
    )
    predictor = Predictor(card, graph, threads=2)
    others = unknown.paths[:: max(len(unknown.paths) // int(is_test.sum()), 1)]
    mine = [path for path, chosen in zip(known.paths, is_test, strict=True) if chosen]
    usual, strange = scores(predictor, mine), scores(predictor, others)
    truth = np.concatenate([np.zeros(len(usual)), np.ones(len(strange))])
    return (
        float(roc_auc_score(truth, np.concatenate([usual, strange]))),
        float((usual > memory.threshold).mean()),
        float((strange > memory.threshold).mean()),
    )


def scores(predictor: Predictor, paths: list[Path]) -> np.ndarray:
    """Novelty of pictures, through the served graph."""
    parts = [
        predictor.run(predictor.read(paths[start : start + 32]), NOVELTY)[0]
        for start in range(0, len(paths), 32)
    ]
    return np.concatenate(parts)


if __name__ == "__main__":
    main()
