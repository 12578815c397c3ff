"""How many labels that were changed on purpose are found, and how many others with them.

python -m benchmarks.label_errors --weights mobilenet_v2_imagenet.pth FOLDER_PER_CLASS [TABLE.csv]

What is found beyond the flipped labels is counted as wrong, though real data has errors of its own:
the row without flips says how many labels stand out by themselves.
"""

import argparse
import csv
import hashlib
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from contracts.bundle import Preprocessing
from contracts.manifest import Example
from models import tfidf
from models.draft import CANDIDATES
from models.encoder import extract
from models.label_errors import check_labels
from serving.readers import reader_of

SEEDS = 3
SHARES = (0.0, 0.05, 0.10)


@dataclass(frozen=True)
class Labelled:
    """A data set, its features and its labels as they are published."""

    name: str
    classes: list[str]
    features: Any
    labels: np.ndarray
    candidates: tuple[float, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--weights", type=Path, required=True)
    options = parser.parse_args()
    table = Table("data", "flipped", "found", "precision", "recall", "of the first", box=None)
    table.add_column("seconds")
    for path in options.data:
        data = texts(path) if path.is_file() else pictures(path, options.weights)
        for share in SHARES:
            rows = [measured(data, share, seed) for seed in range(SEEDS if share else 1)]
            found, precision, recall, first, seconds = np.mean(rows, axis=0)
            rates = [f"{value:.1%}" if share else "–" for value in (precision, recall, first)]
            flips = f"{share:.0%} of {len(data.labels):,}"
            table.add_row(data.name, flips, f"{found:.0f}", *rates, f"{seconds:.1f}")
    Console().print(table)


def measured(data: Labelled, share: float, seed: int) -> tuple[float, float, float, float, float]:
    """Found, precision, recall, share of flips among the first as many, and CPU seconds."""
    generator = np.random.default_rng(seed)
    count, labels = round(share * len(data.labels)), data.labels.copy()
    flipped = generator.choice(len(labels), count, replace=False)
    steps = generator.integers(1, len(data.classes), count)
    labels[flipped] = (labels[flipped] + steps) % len(data.classes)
    names = [hashlib.sha256(str(index).encode()).hexdigest() for index in range(len(labels))]
    examples = [
        Example(name, int(label), name, 1) for name, label in zip(names, labels, strict=True)
    ]
    started = time.process_time()
    check = check_labels(examples, data.classes, data.features, data.candidates, most_kept=10**6)
    seconds = time.process_time() - started
    wrong = {names[index] for index in flipped}
    hits = [error.sha256 in wrong for error in check.errors]
    right = sum(hits)
    return (
        check.found,
        right / max(check.found, 1),
        right / max(count, 1),
        sum(hits[:count]) / max(count, 1),
        seconds,
    )


def pictures(folder: Path, weights: Path) -> Labelled:
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
    paths = [path for name in classes for path in sorted((folder / name).iterdir())]
    labels = np.array([classes.index(path.parent.name) for path in paths])
    with tempfile.TemporaryDirectory() as scratch:
        encoder = Path(scratch) / "encoder.onnx"
        command = [sys.executable, "-m", "models.export", "--backbone", "mobilenet_v2"]
        subprocess.run([*command, "--weights", weights, "--output", encoder], check=True)
        features = extract(encoder, paths, reader_of(Preprocessing()))
    return Labelled(folder.name, classes, features, labels, CANDIDATES)


def texts(table: Path) -> Labelled:
    """By word counts, from a table with the columns text and label."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    classes = sorted({row["label"] for row in rows})
    features = tfidf.features([row["text"] for row in rows], len(classes))
    labels = np.array([classes.index(row["label"]) for row in rows])
    return Labelled(table.name, classes, features, labels, tfidf.CANDIDATES)


if __name__ == "__main__":
    main()
