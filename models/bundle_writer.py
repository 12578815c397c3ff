"""Writes a deployable bundle so that a half-written one can never be taken for whole."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from contracts.bundle import CARD_FILE, MODEL_FILE, ModelCard


def write_bundle(folder: Path, card: ModelCard, graph: bytes) -> ModelCard:
    """Write the graph, then `model.json` that vouches for it; return the card with its version."""
    folder.mkdir(parents=True, exist_ok=True)
    checksums = {MODEL_FILE: hashlib.sha256(graph).hexdigest()}
    complete = replace(card, checksums=checksums).with_version()
    _write(folder / MODEL_FILE, graph)
    _write(folder / CARD_FILE, complete.to_json())
    return complete


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(data)
    part.replace(path)
