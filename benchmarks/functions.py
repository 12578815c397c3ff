"""The inference functions of pictures and of text by themselves: sizes, cold start, latency.

Zip and layer run in an interpreter of their own under AWS's runtime client.

python -m benchmarks.functions --pictures FOLDER_PER_CLASS --weights mobilenet_v2_imagenet.pth \
    --texts table.csv
"""

import argparse
import base64
import csv
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.serving import draft_bundle
from contracts.bundle import ModelCard, TextPreprocessing
from contracts.manifest import Kind
from deployments.packaging import Builder
from models import tfidf
from models.bundle_writer import write_bundle
from models.draft import draft_graph, fit_head
from models.encoder import extract
from models.quantisation import quantised
from models.sentence_encoders import SENTENCE_ENCODERS, pack, read_tokenizer
from serving.readers import reader_of
from tasks.bundles import function_zip
from tests.lambda_runtime import LambdaRuntime

COLD_STARTS, CALLS = 5, 200
ENVIRONMENT = {"EXEMPLAR_TABLE": "t", "EXEMPLAR_USER": "ann", "EXEMPLAR_PROJECT": "p"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True, help="a CSV with text and label")
    options = parser.parse_args()
    table = Table("function", "zip MB", "cold start ms", "median ms", "95 % ms", box=None)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        layer = Builder(folder).inference_layer().path
        paths = draft_bundle(folder / "pictures", options.pictures, options.weights)
        pictures = [
            {"image_base64": base64.b64encode(path.read_bytes()).decode()}
            for path in paths[:: max(len(paths) // CALLS, 1)]
        ]
        questions: list[dict[str, Any]] = pictures
        table.add_row("pictures, MobileNetV2", *measured(folder / "pictures", layer, questions))
        texts = text_bundles(folder, options.texts)
        for name in ("int8", "float32", "tfidf"):
            asked = [{"text": text} for text in texts[:CALLS]]
            table.add_row(f"text, {name}", *measured(folder / name, layer, asked))
        long = [{"text": " ".join(texts)[:100_000]}] * 10
        table.add_row("text of 100 kB, int8", *measured(folder / "int8", layer, long))
        print(f"layer: {layer.stat().st_size / 1e6:.1f} MB")
    Console().print(table)


def measured(bundle: Path, layer: Path, questions: list[dict[str, Any]]) -> list[str]:
    """Zip size, start to first answer, and latency of further answers."""
    cold, warm = [], []
    with function_zip(bundle) as package:
        size = package.stat().st_size
        for _ in range(COLD_STARTS):
            runtime = LambdaRuntime(package, "lambdas.predict.handler", [layer], ENVIRONMENT)
            began = time.perf_counter()
            with runtime as function:
                function.invoke(questions[0])
                cold.append(time.perf_counter() - began)
                if len(cold) < COLD_STARTS:
                    continue
                for question in questions:
                    began = time.perf_counter()
                    function.invoke(question)
                    warm.append(time.perf_counter() - began)
    figures = [
        size / 1e6,
        1000 * statistics.median(cold[1:]),  # the first one warms the file cache
        1000 * statistics.median(warm),
        1000 * sorted(warm)[int(0.95 * (len(warm) - 1))],
    ]
    return [f"{figure:.1f}" for figure in figures]


def text_bundles(folder: Path, table: Path) -> list[str]:
    """Make drafts of text as float32, as int8 and of word counts; return texts to ask about."""
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    texts, names = [row["text"] for row in rows], sorted({row["label"] for row in rows})
    labels = np.array([names.index(row["label"]) for row in rows])
    encoder = SENTENCE_ENCODERS["minilm_l6"]
    packaged = encoder.packaged()
    if packaged is None:
        sys.exit("install the extra offline-text first")
    pack(encoder, packaged, folder / "minilm.zip")
    command = [sys.executable, "-m", "models.export", "--backbone", "minilm_l6", "--weights"]
    command += [folder / "minilm.zip", "--output", folder / "minilm.onnx"]
    subprocess.run(command, check=True)
    tokenizer = read_tokenizer(folder / "minilm.zip")
    reader = reader_of(TextPreprocessing(), tokenizer)
    began = time.perf_counter()
    features = extract(folder / "minilm.onnx", texts, reader)
    print(f"features: {len(texts) / (time.perf_counter() - began):.0f} texts/s")
    no_validation = np.zeros(len(texts), bool)
    head = fit_head(features, labels, no_validation, len(names))
    graph = draft_graph((folder / "minilm.onnx").read_bytes(), head)
    card = ModelCard(Kind.TEXT, tuple(names), TextPreprocessing(), "0" * 64, "minilm_l6", "draft")
    write_bundle(folder / "float32", card, graph, tokenizer)
    write_bundle(folder / "int8", card, quantised(graph), tokenizer)
    counted = tfidf.fit_tfidf(texts, labels, no_validation, len(names))
    card = ModelCard(Kind.TEXT, tuple(names), tfidf.PREPROCESSING, "0" * 64, "tfidf", "draft")
    write_bundle(folder / "tfidf", card, counted.graph, counted.tokenizer)
    return texts


if __name__ == "__main__":
    main()
