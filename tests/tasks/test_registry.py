"""MLflow's registry follows what is live."""

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest

from contracts.identity import Project
from contracts.manifest import Kind
from lambdas.state import ProjectRecord
from models.champion import Decision
from tasks import clients, registry
from tests.evaluations import evaluation

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def tracking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)  # where a local store puts its artifacts
    yield mlflow.MlflowClient()
    mlflow.set_tracking_uri(before)
    gc.collect()


def test_the_alias_champion_names_what_is_live(
    tracking: Any, tasks_environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project = Project("ann", "registered")
    clients.state().create_project(ProjectRecord(project, Kind.IMAGE, ("cat", "dog")))
    tasks_environment.setattr(registry.bundles, "fetch_bundle", lambda *_: tmp_path / "bundle")
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "model.json").write_text("{}")

    def register(model_version: str, decision: Decision) -> str:
        scored = evaluation(model_version, "d" * 64, correct=300)
        return registry.register.fn(project, model_version, scored, decision)

    def champion() -> str:
        found = tracking.get_model_version_by_alias(project.registry_name, "champion")
        return str(found.tags["model_version"])

    assert registry.follow_live.fn(project) == ""  # nothing is live, nothing is registered
    clients.state().update_project(project, model_version="draft-1")
    register("draft-1", Decision(True, "first model", ()))
    clients.state().update_project(project, model_version="tuned-2")
    assert registry.follow_live.fn(project) == ""  # its promotion has not come so far
    second = register("tuned-2", Decision(True, "better", (), wins=12, losses=3, p_value=0.01))
    assert champion() == "tuned-2"
    tags = tracking.get_model_version(project.registry_name, second).tags
    assert (tags["wins"], tags["losses"], tags["p_value"]) == ("12", "3", "0.01")
    assert (tags["decision"], tags["promoted_by"]) == ("better", "ann")

    clients.state().update_project(project, model_version="draft-1")  # a rollback
    assert registry.follow_live.fn(project) == "draft-1"
    assert champion() == "draft-1"
    register("tuned-3", Decision(False, "kept the present model", ()))
    assert champion() == "draft-1"
