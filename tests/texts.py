"""Tables of the demonstration's sentences."""

import csv
from pathlib import Path

from deployments.demo_texts import labelled_texts

__all__ = ["labelled_texts", "write_table"]


def write_table(path: Path, per_class: int, seed: int = 0) -> Path:
    """Write a CSV with the columns text and label."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(labelled_texts(per_class, seed))
    return path
