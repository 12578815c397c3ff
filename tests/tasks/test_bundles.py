"""The package that serves runs by itself, as Lambda would run it."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from contracts.bundle import ModelCard
from contracts.manifest import Kind
from deployments.packaging import Builder
from models import draft, encoder
from models.bundle_writer import write_bundle
from serving.readers import reader_of
from tasks.bundles import function_zip
from tests.lambda_runtime import FunctionError, LambdaRuntime
from tests.lambdas.test_predict_text import write_text_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model that tells dark pictures from bright ones."""
    folder = tmp_path_factory.mktemp("bundle")
    path = folder / "encoder.onnx"
    path.write_bytes(encoder.pixel_encoder())
    pictures = [png(value) for value in (10, 30, 50, 70, 180, 200, 220, 240)] * 4
    features = encoder.extract(path, pictures, reader_of(encoder.PIXELS))
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1] * 4)
    head = draft.fit_head(features, labels, np.arange(32) >= 24, 2)
    card = ModelCard(
        kind=Kind.IMAGE,
        classes=("dark", "bright"),
        preprocessing=encoder.PIXELS,
        dataset_version="0" * 64,
        backbone="pixels",
        recipe="draft",
    )
    write_bundle(folder / "bundle", card, draft.draft_graph(path.read_bytes(), head))
    return folder / "bundle"


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (value, value, value)).save(buffer, "PNG")
    return buffer.getvalue()


ENVIRONMENT = {"EXEMPLAR_TABLE": "t", "EXEMPLAR_USER": "ann", "EXEMPLAR_PROJECT": "p"}


def call(picture: bytes) -> dict[str, Any]:
    return {"image_base64": base64.b64encode(picture).decode()}


def test_zip_and_layer_answer_with_nothing_else_on_the_path(bundle: Path, tmp_path: Path) -> None:
    layer = Builder(tmp_path).inference_layer().path
    with (
        function_zip(bundle) as package,
        LambdaRuntime(package, "lambdas.predict.handler", [layer], ENVIRONMENT) as function,
    ):
        dark, bright = function.invoke(call(png(20))), function.invoke(call(png(230)))
        broken = function.invoke(call(b"no picture"))
    assert (dark["label"], bright["label"]) == ("dark", "bright")
    assert dark["model_version"].startswith("draft-")
    assert broken["error"]["code"] == "unreadable_example"


def test_text_needs_nothing_else_either(tmp_path: Path) -> None:
    """Its tokenizer, too, comes from the layer, without what that lists as its own needs."""
    write_text_bundle(tmp_path / "bundle")
    layer = Builder(tmp_path).inference_layer().path
    with (
        function_zip(tmp_path / "bundle") as package,
        LambdaRuntime(package, "lambdas.predict.handler", [layer], ENVIRONMENT) as function,
    ):
        one = function.invoke({"text": "rain and wind by the coast"})
        several = function.invoke({"text": ["we ate bread", "שלום 😀"]})
        wrong = function.invoke({"image_base64": "aGk="})
    assert one["label"] == "weather"
    assert several["predictions"][0]["label"] == "food"
    assert wrong["error"]["code"] == "invalid_request"


def test_without_the_layer_it_cannot_start(bundle: Path) -> None:
    with (
        pytest.raises(FunctionError, match="ImportModuleError"),
        function_zip(bundle) as package,
        LambdaRuntime(package, "lambdas.predict.handler", [], ENVIRONMENT) as function,
    ):
        function.invoke(call(png(20)))
