"""The demonstration's data, pictures of digits and made-up sentences, and its last steps."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from deployments.client import Exemplar
from deployments.demo_texts import labelled_texts

_SIDE = 64  # px; the originals have 8
_PER_CLASS = 120
_UNSEEN = 5  # per class, never uploaded
_ROWS_PER_CLASS = 120


def write_digits(folder: Path) -> None:
    """Write `folder/<digit>/<n>.png`, and beside it in `unseen/` digits kept for the last step.

    Source: the UCI ML hand-written digits (Alpaydin, Kaynak 1998) that scikit-learn carries.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    for digit in range(10):
        pictures = digits.images[digits.target == digit][: _PER_CLASS + _UNSEEN]
        for number, picture in enumerate(pictures):
            is_unseen = number >= _PER_CLASS
            root = folder.parent / "unseen" if is_unseen else folder
            _write(root / str(digit) / f"{number:03}.png", picture)


def _write(path: Path, picture: np.ndarray) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    values = (picture * (255 / 16)).astype(np.uint8)  # (8, 8), 0..16
    Image.fromarray(values).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC).save(path)


def ask_endpoint(project: str, folder: Path) -> int:
    """Ask about pictures the system has never seen; 0 when most answers are right."""
    console, right, asked = Console(), 0, 0
    with Exemplar() as client:
        client.details(project)
        for path in sorted(folder.glob("*/*.png")):
            answer = client.predict(project, path)
            asked += 1
            right += answer["label"] == path.parent.name
        probability = max(answer["probabilities"].values())
    console.print(
        f"\nThe endpoint was asked about {asked} digits it had never seen: {right} right.\n"
        f"Its last answer: {path.parent.name} is a {answer['label'] or 'none of the digits'} "
        f"({probability:.1%}, model {answer['model_version']}).",
        highlight=False,
    )
    return 0 if right > 0.8 * asked else 1


def write_sentences(path: Path) -> None:
    """Write a CSV of sentences about three topics, all made up."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(labelled_texts(_ROWS_PER_CLASS))


def ask_about_sentences(project: str) -> int:
    """Ask about sentences the system has never seen; 0 when most answers are right."""
    known = dict(labelled_texts(_ROWS_PER_CLASS))
    asked = [row for row in labelled_texts(2 * _UNSEEN, seed=1) if row[0] not in known]
    with Exemplar() as client:
        answer = client.predict(project, [text for text, _ in asked])
    answers = [one["label"] for one in answer["predictions"]]
    right = sum(given == label for given, (_, label) in zip(answers, asked, strict=True))
    Console().print(
        f"\nThe endpoint was asked about {len(asked)} sentences it had never seen: {right} right."
        f"\nIts last answer: “{asked[-1][0]}” is about {answers[-1]} "
        f"(model {answer['model_version']}).",
        highlight=False,
        markup=False,
    )
    return 0 if right > 0.8 * len(asked) else 1
