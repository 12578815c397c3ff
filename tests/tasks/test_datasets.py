"""What becomes of an upload and its feedback, and what earlier data sets say about its split."""

import hashlib
import time

import pytest

from contracts.feedback import text_example
from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.limits import Limits
from contracts.manifest import Example, Kind, Manifest, Split
from contracts.requests import AnnouncedFile, UploadRequest
from lambdas import uploads
from lambdas.feedback import Feedback, FeedbackLog
from lambdas.feedback_upload import keep, with_feedback
from lambdas.state import ProjectRecord, VersionRecord
from tasks import clients, datasets, storage
from tasks.settings import settings


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


class Silent:
    """Nobody looks at this job's progress."""

    def within(self, *_: object) -> None:
        pass


def uploaded(project: Project, content: bytes, **file: str) -> AnnouncedFile:
    sha256 = hashlib.sha256(content).hexdigest()
    storage.put(ProjectKeys(project).object(sha256), content)
    announced = {"size_bytes": len(content), "sha256": sha256} | file
    return AnnouncedFile.parse(announced, Limits())


def frozen(project: Project, files: list[AnnouncedFile], *given: Feedback) -> Manifest:
    """As the API, the ingest function and the flow do it, one after the other."""
    s3, bucket = clients.s3(), settings().bucket
    uploads.announce(s3, bucket, project, UploadRequest("u1", tuple(files)))
    log = FeedbackLog(clients.state(), project)
    for one in given:
        log.put(one, 100, 10**6)
    record = clients.state().project(project)
    merged = with_feedback(record, log, "u1", files)
    if merged.upload != "u1":
        keep(s3, bucket, project, merged)
    version = datasets.freeze_upload.fn(project, merged.upload, 0, Silent())  # type: ignore[arg-type]
    return storage.read_manifest(project, version)


def test_corrected_texts_are_frozen_under_their_right_labels(
    tasks_environment: pytest.MonkeyPatch,
) -> None:
    project = Project("ann", "corrected-texts")
    clients.state().create_project(ProjectRecord(project, Kind.TEXT, (), has_open_classes=True))
    table = b"text,label\nhello,spam\nwin a prize,spam\nsee you,ham\n"
    file = uploaded(project, table, name="rows.csv", content_type="text/csv")
    kept = [text_example(text, Limits()) for text in ("hello", 'line\none, "two"')]
    given = [Feedback(one.sha256, "ham", len(one.data), text=one.text) for one in kept]
    manifest = frozen(project, [file], *given)
    assert manifest.classes == ("ham", "spam")
    rows = {e.source: manifest.classes[e.class_index] for e in manifest.examples}
    assert {name: rows[name] for name in rows if name.startswith("rows")} == {
        "rows.csv:2": "ham",
        "rows.csv:3": "spam",
        "rows.csv:4": "ham",
    }
    assert len(rows) == 4
    (new,) = (e for e in manifest.examples if e.is_feedback)
    assert new.sha256 == given[1].sha256


def test_corrected_pictures_are_frozen_under_their_right_labels(
    tasks_environment: pytest.MonkeyPatch,
) -> None:
    project = Project("ann", "corrected-pictures")
    clients.state().create_project(ProjectRecord(project, Kind.IMAGE, ("cat", "dog")))
    files = [
        uploaded(project, b"one", name="1.png", content_type="image/png", **{"class": "cat"}),
        uploaded(project, b"two", name="2.png", content_type="image/png", **{"class": "cat"}),
    ]
    new = uploaded(project, b"three", name="x", content_type="image/png", **{"class": "cat"})
    given = [Feedback(f.sha256, "dog", f.size_bytes, "image/png") for f in (files[0], new)]
    manifest = frozen(project, files, *given)
    found = {e.sha256: (e.source, e.class_index, e.is_feedback) for e in manifest.examples}
    assert found == {
        files[0].sha256: ("1.png", 1, False),
        files[1].sha256: ("2.png", 0, False),
        new.sha256: (f"feedback/{new.sha256[:12]}", 1, True),
    }
