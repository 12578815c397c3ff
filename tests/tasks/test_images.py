"""A large model's image: what is in it runs by itself, and it is named by what is in it."""

from pathlib import Path

import pytest

from contracts.archive import write_zip
from deployments.packaging import Builder
from tasks.images import context_entries, layer_files
from tests.container_engine import built, zipped
from tests.lambda_runtime import LambdaRuntime
from tests.tasks.test_bundles import ENVIRONMENT, bundle, call, png  # bundle: a fixture

__all__ = ["bundle"]


@pytest.fixture(scope="module")
def context(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("context")
    layer = Builder(folder).inference_layer().path
    write_zip(context_entries(bundle, layer_files(layer, folder / "layer")), folder / "image.zip")
    return folder / "image.zip"


def test_the_image_answers_with_nothing_but_what_the_dockerfile_copies(
    context: Path, tmp_path: Path
) -> None:
    files, handler = built(context)
    package = tmp_path / "task.zip"
    package.write_bytes(zipped(files))
    with LambdaRuntime(package, handler, [], ENVIRONMENT) as function:
        dark, bright = function.invoke(call(png(20))), function.invoke(call(png(230)))
    assert (dark["label"], bright["label"]) == ("dark", "bright")
    assert dark["model_version"].startswith("draft-")


def test_nothing_in_the_image_shadows_another_file(context: Path) -> None:
    files, _ = built(context)
    assert {"lambdas/predict.py", "bundle/model.json", "numpy/__init__.py"} <= set(files)
    assert not any(name.endswith((".pyc", "Dockerfile")) for name in files)
