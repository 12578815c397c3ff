"""Whether labelling what is suggested teaches more than labelling at random.

python -m benchmarks.label_next --weights mobilenet_v2_imagenet.pth FOLDER_PER_CLASS

Starts with a few labels per class on frozen features, then adds as many suggested examples at a
time, or random ones. 40 % of each class are the test part and are never labelled.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small fits: threads only wait for each other

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.label_errors import pictures
from models.calibration import fit_temperature
from models.draft import fit_head
from models.label_next import choose, units_of
from serving.predictor import softmax

PER_CLASS, AT_ONCE, ROUNDS = 10, 10, 5
TEST_SHARE = 0.4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=12)
    options = parser.parse_args()
    data = pictures(options.folder, options.weights)
    units = units_of(data.features)
    found = {
        way: np.array(
            [accuracies(data.features, units, data.labels, way, s) for s in range(options.seeds)]
        )
        for way in ("random", "suggested")
    }
    start = PER_CLASS * len(data.classes)
    counts = [f"{start + AT_ONCE * number}" for number in range(ROUNDS + 1)]
    table = Table("labels", *counts, "mean gain", box=None, title=data.name)
    gains = (found["suggested"] - found["random"])[:, 1:].mean(axis=1)
    error = gains.std(ddof=1) / len(gains) ** 0.5
    for way, rows in found.items():
        gain = f"{gains.mean():+.1%} ± {error:.1%}" if way == "suggested" else ""
        table.add_row(way, *(f"{value:.1%}" for value in rows.mean(axis=0)), gain)
    Console().print(table)


def accuracies(
    features: np.ndarray, units: np.ndarray, labels: np.ndarray, way: str, seed: int
) -> list[float]:
    """Test accuracy at the start and after each round."""
    generator = np.random.default_rng(seed)
    classes = int(labels.max()) + 1
    is_test, has_label = np.zeros(len(labels), bool), np.zeros(len(labels), bool)
    for index in range(classes):
        mine = generator.permutation(np.flatnonzero(labels == index))
        held_out = round(TEST_SHARE * len(mine))
        is_test[mine[:held_out]] = True
        has_label[mine[held_out : held_out + PER_CLASS]] = True
    found = []
    for number in range(ROUNDS + 1):
        known = np.flatnonzero(has_label)
        head = fit_head(features[known], labels[known], np.arange(len(known)) % 7 == 0, classes)
        logits = features @ head.weight + head.bias
        found.append(float((logits[is_test].argmax(axis=1) == labels[is_test]).mean()))
        if number == ROUNDS:
            break
        rest = np.flatnonzero(~is_test & ~has_label)
        if way == "random":
            chosen = generator.choice(len(rest), AT_ONCE, replace=False).tolist()
        else:
            temperature = fit_temperature(head.held_out_logits, head.held_out_labels)
            probabilities = softmax(logits[rest] / temperature)
            chosen = choose(probabilities, units[rest], AT_ONCE, units[known])
        has_label[rest[chosen]] = True
    return found


if __name__ == "__main__":
    main()
