"""What earlier data sets say about the split of the next one."""

import time

import pytest

from contracts.identity import Project
from contracts.manifest import Example, Kind, Manifest, Split
from lambdas.state import ProjectRecord, VersionRecord
from tasks import clients, datasets, storage


def stored(project: Project, **splits: Split) -> str:
    examples = tuple(
        Example(name * 64, index % 2, name, 1, split=split)
        for index, (name, split) in enumerate(splits.items())
    )
    return storage.write_manifest(Manifest(project, Kind.IMAGE, ("cat", "dog"), examples))


def test_the_last_data_set_and_the_live_models_count(tasks_environment: pytest.MonkeyPatch) -> None:
    """Feedback may be in the live model's data and not in the last, which was made without it."""
    project, state = Project("ann", "earlier"), clients.state()
    state.create_project(ProjectRecord(project, Kind.IMAGE, ("cat", "dog")))
    assert datasets.earlier_splits(project) == {split: set() for split in Split}
    live = stored(project, a=Split.TRAIN, b=Split.TEST, c=Split.TRAIN, d=Split.TEST)
    last = stored(project, a=Split.TRAIN, b=Split.TEST)
    other = stored(project, e=Split.TEST, f=Split.TRAIN)
    for model, dataset in (("m-1", other), ("m-2", live)):
        state.put_version(project, VersionRecord(model, "1", dataset, "j", time.time(), "", "", 1))
    state.update_project(project, dataset_version=last, model_version="m-2")
    found = datasets.earlier_splits(project)
    assert found[Split.TRAIN] == {"a" * 64, "c" * 64}
    assert found[Split.TEST] == {"b" * 64, "d" * 64}
