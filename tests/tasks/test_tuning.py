"""A search as MLflow, Prefect and S3 see it: all three run here."""

import gc
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter
from prefect.logging import disable_run_logger

from contracts.identity import Project
from contracts.manifest import Kind, Manifest, Split
from models.data import TrainingData
from models.recipe import Recipe
from models.tuning import JOURNAL
from tasks import registry
from tasks.progress import JobCancelled, Progress
from tasks.tuning import Search, _Reporter, tuned_recipe
from tests.models.labelled_pictures import stored
from tests.models.pictures import write_digits

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"
)

ANN = Project("ann", "digits")
RECIPE = replace(Recipe.from_name("scratch"), epochs=2, batch_size=16, flip=False)


@pytest.fixture
def tracking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    yield mlflow.MlflowClient()
    mlflow.set_tracking_uri(before)
    gc.collect()  # Prefect's artifacts leave sockets open: in this test, not in a later one


def dataset(folder: Path) -> tuple[Manifest, TrainingData]:
    paths, labels = write_digits(folder, 140, classes=2)
    data = TrainingData(paths[:112], labels[:112], paths[112:], labels[112:], ("0", "1"))
    splits = [Split.TRAIN] * 112 + [Split.VALIDATION] * 28
    examples = [
        replace(stored(path, label), split=split)
        for path, label, split in zip(paths, labels, splits, strict=True)
    ]
    return Manifest(ANN, Kind.IMAGE, ("0", "1"), tuple(examples)), data


def test_trials_are_children_rows_and_survive_the_machine(
    tracking: Any,
    tasks_environment: pytest.MonkeyPatch,
    prefect_server: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manifest, data = dataset(tmp_path / "digits")
    run_id = registry.run_of_training(ANN, "t1")
    search = Search(Progress(ANN), "t1", run_id, 3, 600)
    finish, cancelled_at = registry.finish_trial, 2

    def cancel_second(*arguments: Any) -> None:
        finish(*arguments)
        if len(children(tracking, run_id)) == cancelled_at:
            raise JobCancelled("stop")

    monkeypatch.setattr(registry, "finish_trial", cancel_second)
    with disable_run_logger(), pytest.raises(JobCancelled):
        tuned_recipe(search, manifest, RECIPE, data, None, tmp_path / "first machine")
    cancelled_at = 0
    second = tmp_path / "second machine"
    with disable_run_logger():
        recipe = tuned_recipe(search, manifest, RECIPE, data, None, second)
        again = tuned_recipe(search, manifest, RECIPE, data, None, tmp_path / "third machine")
    assert again == recipe
    runs = children(tracking, run_id)
    assert len(runs) == 3  # two of them from the first machine
    start = next(run for run in runs if run.data.tags["exemplar.trial"] == "t1-trial-0")
    assert float(start.data.params["learning_rate"]) == RECIPE.learning_rate
    history = tracking.get_metric_history(start.info.run_id, "val_loss")
    assert [metric.step for metric in history] == [0, 1]
    assert {run.data.tags["exemplar.state"] for run in runs} <= {"complete", "pruned"}
    best = min(runs, key=lambda run: run.data.metrics.get("trial_loss", 9.0))
    assert float(best.data.params["learning_rate"]) == recipe.learning_rate
    with get_client(sync_client=True) as client:
        wanted = ArtifactFilter.model_validate({"key": {"any_": ["trials-t1"]}})
        tables = client.read_artifacts(artifact_filter=wanted)
    assert sorted(str(table.data).count('"trial"') for table in tables) == [
        1,
        3,
    ]  # the second was cancelled


def children(client: Any, run_id: str) -> list[Any]:
    experiment = registry.experiment_id(ANN)
    found: list[Any] = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'")
    return found


def test_the_journal_that_came_further_is_gone_on_with(
    tasks_environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here, there = (
        _Reporter(Search(Progress(ANN), "t2", "", 3, 600), tmp_path / name / JOURNAL)
        for name in ("here", "there")
    )
    for reporter, content in ((here, "a\n"), (there, "a\nb\n")):
        reporter.journal.parent.mkdir()
        reporter.journal.write_text(content)
    there.store_journal()
    with disable_run_logger():
        here.fetch_journal()
    assert here.journal.read_text() == "a\nb\n"
    here.journal.write_text("a\nb\nc\n")
    with disable_run_logger():
        here.fetch_journal()
    assert here.journal.read_text() == "a\nb\nc\n"
