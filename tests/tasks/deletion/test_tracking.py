"""MLflow on SQLite, with its database at hand and without."""

import sqlite3
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType

from contracts.identity import Project
from tasks import registry
from tasks.deletion import tracking
from tasks.deletion.tally import Deletion
from tasks.settings import settings
from tests.tasks.deletion.conftest import _tracked

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"
)
ANN, NEIGHBOUR = Project("ann", "cats"), Project("ann", "cats-2")
DELETION = Deletion(ANN, "1764230000000-0a1b2c3d")


@pytest.fixture
def client(tracking_store: str, tasks_environment: pytest.MonkeyPatch) -> MlflowClient:
    tasks_environment.setenv("EXEMPLAR_TRACKING_STORE", tracking_store)
    settings.cache_clear()
    mlflow.set_tracking_uri(tracking_store)
    return MlflowClient()


def remove_all() -> list[dict[str, int]]:
    removed = []
    for batch in tracking.find_tracked(DELETION):
        for _ in range(2):  # a batch that was removed before the kill is removed again
            tracking.remove_tracked(DELETION, batch.ids)
        removed.append(batch.amounts)
    return removed


def rows(store: str, table: str) -> int:
    with sqlite3.connect(store.removeprefix("sqlite:///")) as database:
        (found,) = database.execute(f"select count(*) from {table}").fetchone()
    return int(found)


TABLES = (
    *("experiments", "runs", "metrics", "latest_metrics", "params", "tags"),
    *("registered_models", "model_versions"),
)


def test_the_database_holds_nothing_of_it_any_more(
    client: MlflowClient, tracking_store: str
) -> None:
    _tracked(NEIGHBOUR)
    before = {table: rows(tracking_store, table) for table in TABLES}
    _tracked(ANN)
    experiment = client.get_experiment_by_name(ANN.registry_name)
    assert experiment is not None
    some = client.search_runs([experiment.experiment_id])[0]
    folder = Path(str(some.info.artifact_uri).removeprefix("file://"))
    assert folder.is_dir()
    client.delete_run(some.info.run_id)  # marked by hand in MLflow's pages: it counts like others
    assert rows(tracking_store, "runs") > before["runs"]
    assert remove_all() == [
        {"models": 1, "model_versions": 2},
        {"tracked_runs": 2, "tracked_files": 4},
        {"experiments": 1},
    ]
    assert {table: rows(tracking_store, table) for table in TABLES} == before
    assert not folder.exists()
    assert remove_all() == []


def test_without_the_database_a_nameless_empty_experiment_stays(
    client: MlflowClient, tasks_environment: pytest.MonkeyPatch
) -> None:
    tasks_environment.delenv("EXEMPLAR_TRACKING_STORE")
    settings.cache_clear()
    _tracked(ANN)
    experiment = client.get_experiment_by_name(ANN.registry_name)
    assert experiment is not None
    some = client.search_runs([experiment.experiment_id])[0]
    client.delete_run(some.info.run_id)
    assert sum((batch.get("tracked_runs", 0) for batch in remove_all()), 0) == 2
    assert remove_all() == []
    assert client.get_experiment_by_name(ANN.registry_name) is None
    left = client.get_experiment(experiment.experiment_id)
    nameless = f"deleted-{DELETION.receipt_id}-{left.experiment_id}"
    assert (left.name, left.lifecycle_stage) == (nameless, "deleted")
    runs = client.search_runs([left.experiment_id], run_view_type=ViewType.ALL)
    assert [run.info.lifecycle_stage for run in runs] == ["deleted", "deleted"]
    assert not any(client.list_artifacts(run.info.run_id) for run in runs)
    assert any("mlflow gc" in line for line in tracking.stays())
    assert registry.experiment_id(ANN) != left.experiment_id  # the name is free
    assert remove_all() == [{"experiments": 1}]


def test_an_experiment_that_took_over_the_number_is_not_touched(
    client: MlflowClient, tracking_store: str
) -> None:
    gone = registry.experiment_id(ANN)
    assert remove_all() == [{"experiments": 1}]
    taken = client.create_experiment("bob.theirs")
    assert taken == gone  # SQLite counts on from the highest that is there
    tracking.remove_tracked(DELETION, [f"experiment {gone}"])
    assert client.get_experiment(taken).lifecycle_stage == "active"


def test_an_experiment_that_was_marked_by_hand_is_used_again_and_removed(
    client: MlflowClient,
) -> None:
    first = registry.experiment_id(ANN)
    client.delete_experiment(first)
    assert registry.experiment_id(ANN) == first
    assert registry.run_of_training(ANN, "t1")
    client.delete_experiment(first)
    amounts: dict[str, Any] = {}
    for found in remove_all():
        amounts |= found
    assert amounts == {"tracked_runs": 1, "tracked_files": 0, "experiments": 1}
    assert client.get_experiment_by_name(ANN.registry_name) is None
