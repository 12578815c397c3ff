"""A published encoder as blocks: the features that the whole model gives, and as ONNX."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from contracts.bundle import TextPreprocessing
from contracts.errors import ExemplarError, InvalidRequest
from models import zoo
from models.encoder import extract
from models.export import export_encoder
from models.quantisation import quantised
from models.sentence_encoders import (
    CONFIG_FILE,
    PACKED_FILES,
    SENTENCE_ENCODERS,
    TENSORS_FILE,
    pack,
    read_tokenizer,
)
from models.torchlibs import torch
from serving.readers import reader_of
from tests.sentence_encoder import packed_encoder

TEXTS = [
    "A man is eating food.",
    "A man eats something.",
    "The stock market fell sharply today after the announcement of new tariffs.",
    "שלום עולם 😀",
    "x",
]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def features(encoder: Path) -> np.ndarray:
    path = encoder.with_name("encoder.onnx")
    path.write_bytes(export_encoder("minilm_l6", encoder))
    return extract(path, TEXTS, reader_of(TextPreprocessing(), read_tokenizer(encoder)))


def test_features_are_those_of_the_published_model(encoder: Path, features: np.ndarray) -> None:
    """Computed as its authors say: the whole model, mean over tokens, length 1."""
    from transformers import AutoModel, PreTrainedTokenizerFast

    folder = encoder.parent / "unpacked"
    with zipfile.ZipFile(encoder) as archive:
        archive.extractall(folder)
    model = AutoModel.from_pretrained(folder).eval()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]"
    )
    tokenizer.backend_tokenizer.no_padding()
    for text, found in zip(TEXTS, features, strict=True):
        inputs = tokenizer([text], return_tensors="pt")
        with torch.inference_mode():
            hidden = model(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]
            ).last_hidden_state
        expected = torch.nn.functional.normalize(hidden.mean(1), dim=1)[0].numpy()
        assert np.abs(expected - found).max() < 1e-4


def test_like_sentences_are_near(features: np.ndarray) -> None:
    likeness = features @ features.T
    assert likeness[0, 1] > 0.6 > likeness[0, 2]


def test_a_smaller_graph_means_the_same(encoder: Path, features: np.ndarray) -> None:
    whole = encoder.with_name("encoder.onnx").read_bytes()
    small = encoder.with_name("small.onnx")
    small.write_bytes(quantised(whole))
    assert small.stat().st_size < 0.3 * len(whole)
    found = extract(small, TEXTS, reader_of(TextPreprocessing(), read_tokenizer(encoder)))
    assert (found * features).sum(axis=1).min() > 0.95


def altered(encoder: Path, target: Path, changes: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(encoder) as old, zipfile.ZipFile(target, "w") as new:
        for name in PACKED_FILES:
            new.writestr(name, changes[name] if name in changes else old.read(name))
    return target


def test_a_broken_pack_is_refused(encoder: Path, tmp_path: Path) -> None:
    (tmp_path / "no.zip").write_bytes(b"no zip")
    other = json.dumps({"model_type": "gpt2"}).encode()
    for path in (
        tmp_path / "no.zip",
        altered(encoder, tmp_path / "a.zip", {TENSORS_FILE: b"junk"}),
        altered(encoder, tmp_path / "b.zip", {CONFIG_FILE: other}),
        altered(encoder, tmp_path / "c.zip", {CONFIG_FILE: b"{}"}),
    ):
        with pytest.raises(InvalidRequest, match=path.name):
            zoo.build("minilm_l6", 2, path)


def test_other_tensors_than_published_are_not_packed(tmp_path: Path) -> None:
    for name in PACKED_FILES:
        (tmp_path / name).write_bytes(b"other")
    with pytest.raises(ExemplarError, match="not that of sentence-transformers"):
        pack(SENTENCE_ENCODERS["minilm_l6"], tmp_path, tmp_path / "pack.zip")
    assert not (tmp_path / "pack.zip").exists()
