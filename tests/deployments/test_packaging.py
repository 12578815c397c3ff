"""The zips run by themselves: nothing of this environment leaks into what is measured here."""

import base64
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from contracts.archive import write_zip
from contracts.errors import InvalidRequest
from deployments.packaging import ROOT, Archive, Builder, Platform
from deployments.trainer_release import build_wheel
from lambdas import site_files
from tests.lambda_runtime import FunctionError, LambdaRuntime

MIB = 2**20
BOTO3 = ("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "urllib3", "six")


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    return Builder(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def layer(builder: Builder) -> Archive:
    return builder.inference_layer()


def names(archive: Archive) -> list[str]:
    with zipfile.ZipFile(archive.path) as file:
        return file.namelist()


def test_layer_fits_and_holds_no_tests_headers_or_caches(layer: Archive) -> None:
    with zipfile.ZipFile(layer.path) as file:
        unpacked_bytes = sum(info.file_size for info in file.infolist())
    assert layer.path.stat().st_size < 60 * MIB
    assert unpacked_bytes < 200 * MIB
    assert all(name.startswith("python/") for name in names(layer))
    assert not [n for n in names(layer) if "/tests/" in n or n.endswith((".pyi", ".pyc", ".h"))]
    assert not [n for n in names(layer) if n.endswith("/RECORD")]


def test_a_second_build_is_the_first_and_another_cache_gives_the_same_hash(
    builder: Builder, tmp_path: Path
) -> None:
    first = builder.control_zip()
    written = first.path.stat().st_mtime_ns
    assert builder.control_zip() == first
    assert first.path.stat().st_mtime_ns == written
    assert Builder(tmp_path).control_zip().sha256 == first.sha256
    assert [path for path in builder.cache.iterdir() if path.suffix != ".zip"] == []


def test_control_zip_holds_our_sources_and_the_router_only(builder: Builder) -> None:
    tops = {name.partition("/")[0] for name in names(builder.control_zip())}
    assert {"lambdas", "serving", "contracts", "aws_lambda_powertools", "jmespath"} <= tops
    assert not tops & {"models", "tasks", "flows", "deployments", "boto3", "botocore"}
    assert not [name for name in names(builder.control_zip()) if name.startswith("serving/web/")]


def test_the_pages_zip_is_small_and_answers_by_itself(builder: Builder) -> None:
    archive = builder.site_zip()
    tops = {name.partition("/")[0] for name in names(archive)}
    assert tops == {"contracts", "lambdas", "serving"}
    assert {name for name in names(archive) if name.startswith("lambdas/")} == {
        *("lambdas/__init__.py", "lambdas/site.py", "lambdas/site_files.py")
    }
    variables = {"EXEMPLAR_STORAGE_ORIGIN": "https://bucket.example"}
    event = {"rawPath": "/", "requestContext": {"http": {"method": "GET"}}}
    with LambdaRuntime(archive.path, "lambdas.site.handler", env=variables) as runtime:
        answer = runtime.invoke(event)
    assert base64.b64decode(answer["body"]) == (ROOT / "serving/web/index.html").read_bytes()


def test_an_installed_package_has_the_page_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(build_wheel(tmp_path)) as wheel:
        packed = {name for name in wheel.namelist() if name.startswith("serving/web/")}
    assert {f"serving/web/{name}" for name in site_files.listed(site_files.WEB)} <= packed


def test_a_local_build_is_for_the_running_python_only(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"not 3\.99"):
        Builder(tmp_path, Platform.LOCAL, "3.99")


def test_what_the_zip_lacks_is_missed_although_this_environment_has_it(
    layer: Archive, tmp_path: Path
) -> None:
    function = tmp_path / "f.zip"
    source = b"import PIL\ndef handler(event, context):\n    return PIL.__file__\n"
    write_zip([("main.py", source)], function)
    with (
        pytest.raises(FunctionError, match="PIL") as caught,
        LambdaRuntime(function, "main.handler") as runtime,
    ):
        runtime.invoke({})
    assert caught.value.kind == "Runtime.ImportModuleError"
    with LambdaRuntime(function, "main.handler", [layer.path]) as runtime:
        assert "opt1/python/PIL" in runtime.invoke({})


def test_a_graph_runs_on_the_layer_alone(layer: Archive, tmp_path: Path) -> None:
    function = tmp_path / "f.zip"
    source = b"""
import io, sys
import numpy, onnxruntime
from PIL import Image
session = onnxruntime.InferenceSession("twice.onnx", providers=["CPUExecutionProvider"])
def handler(event, context):
    if event.get("fail"):
        raise ValueError("asked for")
    formats = [f for f in event["formats"] if decodes(f)]
    answer = session.run(None, {"x": numpy.asarray(event["x"], numpy.float32)})[0]
    return {"y": answer.tolist(), "formats": formats, "modules": sorted(sys.modules)}
def decodes(name):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, name)
    return Image.open(file).convert("RGB").size == (8, 8)
"""
    write_zip([("main.py", source), ("twice.onnx", twice_graph())], function)
    formats = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]
    with LambdaRuntime(function, "main.handler", [layer.path]) as runtime:
        answer = runtime.invoke({"x": [1.5, 2.0], "formats": formats})
        with pytest.raises(FunctionError, match="asked for"):
            runtime.invoke({"fail": True})
        assert runtime.invoke({"x": [3.0, 1.0], "formats": []})["y"] == [6.0, 2.0]
    assert answer["y"] == [3.0, 4.0]
    assert answer["formats"] == formats
    assert not {"torch", "onnx", "sympy", "google.protobuf"} & set(answer["modules"])


def twice_graph() -> bytes:
    two = helper.make_tensor("two", TensorProto.FLOAT, [1], np.array([2.0], np.float32))
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "two"], ["y"])],
        "twice",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
        [two],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("handler", ["api", "authorizer", "ingest"])
def test_each_control_function_imports_from_its_zip(builder: Builder, handler: str) -> None:
    with LambdaRuntime(
        builder.control_zip().path, f"lambdas.{handler}.handler", libraries=BOTO3
    ) as runtime:
        assert runtime.init_seconds > 0


def test_a_build_for_lambda_holds_its_interpreters_extensions(tmp_path: Path) -> None:
    """Wheels for python3.12 on Linux, whatever runs here; needs the package index."""
    found = names(Builder(tmp_path, Platform.LAMBDA, "3.12").inference_layer())
    extensions = [name for name in found if ".cpython-" in name]
    assert extensions
    assert all("cpython-312-x86_64-linux-gnu" in name for name in extensions)
