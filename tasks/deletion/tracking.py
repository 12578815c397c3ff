"""A project's part of MLflow: registered model, runs with their artifacts, experiment.

MLflow's API only marks runs and experiments as deleted, and a marked experiment keeps its name for
ever. So the experiment gets another name first. Where `EXEMPLAR_TRACKING_STORE` names the server's
own database, runs and experiment also leave that, as `mlflow gc` would have them do; the command
itself would take along whatever else has been marked.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from contracts import keys
from contracts.receipt import STAYS, TRACKING_STAYS
from tasks.deletion.objects import purge
from tasks.deletion.tally import Batch, Deletion
from tasks.settings import settings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

_PAGE: Final = 50
_MODEL, _RUN, _EXPERIMENT = "model", "run", "experiment"
_ERASED: Final = "exemplar.erased"  # tag of a run that is marked and has nothing left to remove


def find_tracked(deletion: Deletion) -> Iterator[Batch]:
    """The model, then runs, then the experiment: what is inside before what is around."""
    client, name = _client(), deletion.project.registry_name
    if client.search_registered_models(f"name = '{name}'"):
        versions = list(_pages(client.search_model_versions, f"name = '{name}'"))
        yield Batch((f"{_MODEL} {name}",), {"models": 1, "model_versions": len(versions)})
    if experiment := client.get_experiment_by_name(name):
        while runs := _left(client, experiment):
            artifacts = sum(_count(client, run.info.run_id, "") for run in runs)
            ids = tuple(f"{_RUN} {run.info.run_id}" for run in runs)
            yield Batch(ids, {"tracked_runs": len(ids), "tracked_files": artifacts})
        yield Batch((f"{_EXPERIMENT} {experiment.experiment_id}",), {"experiments": 1})


def remove_tracked(deletion: Deletion, ids: Sequence[str]) -> None:
    """What is gone already is no error."""
    client = _client()
    removers = {_MODEL: _remove_model, _RUN: _remove_run, _EXPERIMENT: _remove_experiment}
    for one in ids:
        kind, _, what = one.partition(" ")
        removers[kind](client, deletion, what)


def stays() -> list[str]:
    """What a receipt has to say of things that are not removed."""
    return [*STAYS] if settings().tracking_store else [*STAYS, TRACKING_STAYS]


def _remove_model(client: "MlflowClient", _deletion: Deletion, name: str) -> None:
    """With its versions and aliases."""
    if client.search_registered_models(f"name = '{name}'"):
        client.delete_registered_model(name)


def _remove_run(client: "MlflowClient", deletion: Deletion, run_id: str) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    run = _unless_absent(client.get_run, run_id)
    if run is None:
        return
    uri = str(run.info.artifact_uri)
    get_artifact_repository(uri).delete_artifacts()  # type: ignore[no-untyped-call]
    if uri.startswith("mlflow-artifacts:"):
        purge(keys.tracked(urlsplit(uri).path))  # old versions, in a bucket that keeps them
    if store := _store():
        store._hard_delete_run(run_id)
        return
    if run.info.lifecycle_stage == "deleted":
        client.restore_run(run_id)  # a marked one takes no tag
    client.set_tag(run_id, _ERASED, deletion.receipt_id)
    client.delete_run(run_id)


def _remove_experiment(client: "MlflowClient", deletion: Deletion, experiment_id: str) -> None:
    experiment = _unless_absent(client.get_experiment, experiment_id)
    nameless = f"deleted-{deletion.receipt_id}-{experiment_id}"
    # SQLite gives the number of the last experiment to the next one.
    if experiment is None or experiment.name not in {deletion.project.registry_name, nameless}:
        return
    if experiment.name != nameless:
        if experiment.lifecycle_stage == "deleted":
            client.restore_experiment(experiment_id)  # a marked one takes no name
        client.rename_experiment(experiment_id, nameless)
    if client.get_experiment(experiment_id).lifecycle_stage != "deleted":
        client.delete_experiment(experiment_id)
    if store := _store():
        store._hard_delete_experiment(experiment_id)


def _client() -> "MlflowClient":
    from mlflow import MlflowClient  # takes 2.7 s

    return MlflowClient()


def _store() -> Any:
    """The server's database, or None. Its hard deletion is what `mlflow gc` calls."""
    return _opened(settings().tracking_store) if settings().tracking_store else None


@cache
def _opened(address: str) -> Any:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    return SqlAlchemyStore(address, "mlflow-artifacts:/")  # type: ignore[no-untyped-call]


def _left(client: "MlflowClient", experiment: "Experiment") -> list["Run"]:
    """Some runs that are still to be removed, whether or not somebody has marked them."""
    from mlflow.entities import ViewType

    found: list[Run] = []
    pages = _pages(
        client.search_runs,
        [experiment.experiment_id],
        run_view_type=ViewType.ALL,
        max_results=_PAGE,
    )
    for run in pages:
        if _ERASED not in run.data.tags or settings().tracking_store:
            found.append(run)
        if len(found) == _PAGE:
            break
    return found


def _count(client: "MlflowClient", run_id: str, path: str) -> int:
    """Files among a run's artifacts."""
    return sum(
        _count(client, run_id, entry.path) if entry.is_dir else 1
        for entry in client.list_artifacts(run_id, path or None)
    )


def _pages(search: Any, *arguments: Any, **options: Any) -> Iterable[Any]:
    page = search(*arguments, **options)
    yield from page
    while page.token:
        page = search(*arguments, page_token=page.token, **options)
        yield from page


def _unless_absent(ask: Any, what: str) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return ask(what)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
