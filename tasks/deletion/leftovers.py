"""What else bears a project's name: copies on this machine, studies, items of the state table."""

import re
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from lambdas.endpoints import Endpoints
from lambdas.quotas import HeldQuotas
from lambdas.retraining import stop_watching
from tasks import clients
from tasks.deletion.tally import Batch, Deletion, in_batches
from tasks.settings import settings

_DELETED_AT_ONCE: Final = 8
_LEASE: Final = "LEASE"  # that the deletion itself holds
# Sort keys by their beginnings, as the receipt calls them.
_ITEMS: Final = {
    "JOB": "jobs",
    "VERSION": "versions",
    "RELEASE": "releases",
    "KEYS": "key_records",
}


def find_copies(deletion: Deletion) -> Iterator[Batch]:
    """Folders of fetched examples, bundles and unfinished trainings, in this machine's cache."""
    for folder in sorted(settings().cache_dir.glob(f"*/{deletion.project.slug}")):
        files = sum(path.is_file() for path in folder.rglob("*"))
        yield Batch((str(folder),), {"cached_copies": files})


def remove_copies(_deletion: Deletion, ids: Sequence[str]) -> None:
    """What is gone already is no error; what cannot be removed is."""
    for folder in ids:
        if Path(folder).exists():
            shutil.rmtree(folder)


def find_studies(deletion: Deletion) -> Iterator[Batch]:
    """Searches for recipes, where they lie in a database of their own."""
    if not settings().tuning_storage:
        return iter(())
    import optuna  # few have such a database

    own = re.compile(re.escape(deletion.project.slug) + "-[0-9a-f]{16}")
    names = optuna.get_all_study_names(settings().tuning_storage)
    return in_batches((name, {"studies": 1}) for name in names if own.fullmatch(name))


def remove_studies(_deletion: Deletion, ids: Sequence[str]) -> None:
    """What is gone already is no error."""
    import optuna

    left = set(optuna.get_all_study_names(settings().tuning_storage))
    for name in left.intersection(ids):
        optuna.delete_study(study_name=name, storage=settings().tuning_storage)


def find_held(deletion: Deletion) -> Iterator[Batch]:
    """What it takes of its owner's quotas; files that may still come count until they cannot."""
    held = HeldQuotas(clients.state(), deletion.project.user)
    names = held.names_of(deletion.project.name, with_announced=deletion.is_late)
    return in_batches((name, {"quota_records": 1}) for name in names)


def remove_held(deletion: Deletion, ids: Sequence[str]) -> None:
    """What is gone already is no error."""
    HeldQuotas(clients.state(), deletion.project.user).forget(ids)


def find_items(deletion: Deletion) -> Iterator[Batch]:
    """Every item of the project's own partition, whatever it is."""
    found = clients.state().table.sort_keys(_partition(deletion))
    return in_batches((name, {_called(name): 1}) for name in found if name != _LEASE)


def remove_items(deletion: Deletion, ids: Sequence[str]) -> None:
    """What is gone already is no error."""
    table, partition = clients.state().table, _partition(deletion)
    with ThreadPoolExecutor(_DELETED_AT_ONCE) as pool:
        list(pool.map(lambda name: table.delete((partition, name)), ids))


def find_record(deletion: Deletion) -> Iterator[Batch]:
    """The project itself."""
    if deletion.is_due() and not deletion.is_late:
        yield Batch((deletion.project.name,), {"projects": 1})


def remove_record(deletion: Deletion, _ids: Sequence[str]) -> None:
    """Not that of a project of the same name that was made since."""
    state, project = clients.state(), deletion.project
    record = state.find_project(project)
    if record and record.deletion == deletion.receipt_id:
        stop_watching(state.table, project)
        Endpoints(state.table).remove(project)
    state.remove_project(project, deletion.receipt_id)


def _partition(deletion: Deletion) -> str:
    return f"PROJECT#{deletion.project.slug}"


def _called(name: str) -> str:
    return _ITEMS.get(name.partition("#")[0], "other_records")
