"""Where a model of the hub is found: a folder once, then the bucket, for every machine."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from contracts.errors import InvalidRequest, Unavailable
from contracts.manifest import Kind
from models.backbones import form_named
from models.encoder import extract
from models.hub_packs import pack_path
from serving.readers import reader_of
from tasks import storage, weights
from tasks.settings import settings
from tasks.weights import find_encoder, find_weights
from tests.hub_models import write_picture_model, write_text_model


def test_a_folder_is_packed_once_and_found_by_every_machine(
    tasks_environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = "hf:me/Tiny.Bert_1"
    write_text_model(tmp_path / "weights" / "me--Tiny.Bert_1")
    tasks_environment.setenv("EXEMPLAR_WEIGHTS_DIR", str(tmp_path / "weights"))
    settings.cache_clear()
    first = find_weights(name)
    assert first is not None
    assert first.path == pack_path(name)
    assert first.path.parent == settings().cache_dir / "weights"
    assert form_named(name).kind is Kind.TEXT
    # The draft's features, without torch.
    encoder = find_encoder(name)
    assert encoder is not None
    assert encoder.encoder_id == f"hf-me-tiny-bert-1-{first.digest}"
    reader = reader_of(form_named(name).preprocessing, encoder.tokenizer)
    features = extract(encoder.path, ["the soup", "the soup is good"], reader)
    assert features.shape == (2, 32)
    assert np.linalg.norm(features, axis=1) == pytest.approx(1, abs=1e-5)
    # Another machine, which has no such folder.
    tasks_environment.setenv("EXEMPLAR_CACHE_DIR", str(tmp_path / "other"))
    tasks_environment.delenv("EXEMPLAR_WEIGHTS_DIR")
    settings.cache_clear()
    second = find_weights(name)
    assert second is not None
    assert (second.source, second.digest) == ("the system's bucket", first.digest)
    assert second.path.is_relative_to(tmp_path / "other")
    # Its pack in a folder serves a machine without either.
    (tmp_path / "carried").mkdir()
    shutil.copy(second.path, tmp_path / "carried")
    tasks_environment.setenv("EXEMPLAR_CACHE_DIR", str(tmp_path / "third"))
    tasks_environment.setenv("EXEMPLAR_WEIGHTS_DIR", str(tmp_path / "carried"))
    settings.cache_clear()
    third = find_weights(name)
    assert third is not None
    assert (third.source, third.digest) == ("the weights folder", first.digest)


def test_a_model_that_does_not_fit_is_told_and_stored_nowhere(
    tasks_environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = "hf:me/pickled"
    folder = write_picture_model(tmp_path / "weights" / "me--pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    tasks_environment.setenv("EXEMPLAR_WEIGHTS_DIR", str(tmp_path / "weights"))
    settings.cache_clear()
    with pytest.raises(InvalidRequest, match=r"no model\.safetensors") as refusal:
        find_weights(name)
    assert "pickled weights are never loaded" in refusal.value.fix
    assert not storage.exists(f"weights/{weights.weights_file(name)}")


def test_an_unreachable_hub_says_where_the_model_may_lie(
    tasks_environment: pytest.MonkeyPatch,
) -> None:
    tasks_environment.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    tasks_environment.setenv("HF_HUB_OFFLINE", "0")
    with pytest.raises(Unavailable, match="could not be reached") as refusal:
        find_weights("hf:me/nowhere")
    assert "me--nowhere" in refusal.value.fix
