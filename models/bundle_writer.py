"""Writes a deployable bundle so that a half-written one can never be taken for whole."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from contracts.bundle import CARD_FILE, MODEL_FILE, TOKENIZER_FILE, ModelCard


def write_bundle(
    folder: Path, card: ModelCard, graph: bytes, tokenizer: bytes | None = None
) -> ModelCard:
    """Write the files, then `model.json` that vouches for them; return the card with its version.

    Text needs its tokenizer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {MODEL_FILE: graph} | ({TOKENIZER_FILE: tokenizer} if tokenizer else {})
    checksums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    complete = replace(card, checksums=checksums).with_version()
    for name, data in files.items():
        _write(folder / name, data)
    _write(folder / CARD_FILE, complete.to_json())
    return complete


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(data)
    part.replace(path)
