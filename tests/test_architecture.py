"""Rules of the code base that no linter knows."""

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_is_this_repositorys(package: str) -> None:
    module = importlib.import_module(package)
    assert Path(str(module.__file__)).is_relative_to(ROOT)


def test_no_module_is_named_after_a_dependency() -> None:
    """Prefect puts a flow's folder first on the path, where such a module would shadow it."""
    taken = {"prefect", "mlflow", "torch", "boto3", "onnx", "numpy", "PIL", "httpx", "rich"}
    taken |= set(sys.stdlib_module_names)
    names = {path.stem for package in ("flows", "tasks") for path in (ROOT / package).glob("*.py")}
    assert names.isdisjoint(taken - {"__init__"})


def test_flows_define_no_classes() -> None:
    for path in (ROOT / "flows").glob("*.py"):
        assert "\nclass " not in path.read_text(), path


def test_what_lambda_loads_needs_none_of_the_heavy_libraries() -> None:
    """Import it all with the training side's libraries made unimportable."""
    code = (
        "import sys\n"
        "for name in ('torch', 'prefect', 'mlflow', 'sklearn', 'pydantic', 'transformers'):\n"
        "    sys.modules[name] = None\n"
        "import lambdas.api, lambdas.authorizer, lambdas.ingest, lambdas.predict\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("module", ["models.champion", "models.draft", "flows.pipeline"])
def test_orchestration_loads_without_torch(module: str) -> None:
    code = f"import sys, {module}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


DEPLOYMENT_FIELDS = {
    "name",
    "entrypoint",
    "description",
    "tags",
    "work_pool",
    "enforce_parameter_schema",
    "concurrency_limit",
    "schedules",
}


def test_prefect_yaml_holds_only_fields_that_prefect_reads() -> None:
    """Prefect drops a misspelt field without a word."""
    document = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    assert set(document) == {"name", "prefect-version", "pull", "definitions", "deployments"}
    for deployment in document["deployments"]:
        assert set(deployment) <= DEPLOYMENT_FIELDS
        assert set(deployment["work_pool"]) <= {"name", "work_queue_name", "job_variables"}
        path, function = deployment["entrypoint"].split(":")
        assert f"def {function}(" in (ROOT / path).read_text()
        for schedule in deployment.get("schedules", []):
            assert set(schedule) == {"cron", "timezone", "slug", "active", "parameters"}
            assert schedule["active"] is False


def test_nothing_that_serves_can_load_a_pickle() -> None:
    for package in ("serving", "lambdas", "contracts"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text()
            assert "pickle" not in text, path
            assert "torch" not in text, path


def test_training_loads_tensors_only() -> None:
    for path in (ROOT / "models").glob("*.py"):
        for call in path.read_text().split("torch.load(")[1:]:
            assert "weights_only=True" in call.split(")")[0], path
