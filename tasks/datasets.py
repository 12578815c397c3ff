"""From an upload to a dataset version: verifying, checking, splitting, reporting."""

import base64
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from prefect import task
from prefect.artifacts import (
    create_image_artifact,
    create_markdown_artifact,
    create_table_artifact,
)

from contracts import keys
from contracts.errors import DataProblem, ExemplarError
from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.limits import Limits
from contracts.manifest import Example, Flag, Kind, Manifest, Split
from contracts.requests import AnnouncedFile
from contracts.status import Stage
from lambdas import uploads
from lambdas.state import ProjectRecord
from models import dataset_report, inspection, preparation
from models.contact_sheet import MAX_CLASSES, contact_sheet
from models.labelled_rows import read_labelled_rows
from models.text_inspection import inspect_text
from tasks import clients, examples, storage
from tasks.progress import Progress
from tasks.settings import settings

_SHOWN_TEXTS = 5  # of each class
_NAMED_FILES = 20  # how many files a message names before it only counts


def _may_pass(_task: Any, _run: Any, state: Any) -> bool:
    """Whether trying again can help: a fault of the data stays one."""
    return not isinstance(state.result(raise_on_failure=False), ExemplarError)


# Retries: S3 may stumble while thousands of objects are read; what was fetched is kept.
@task(retries=3, retry_delay_seconds=[1, 3, 10], retry_condition_fn=_may_pass)
def freeze_upload(project: Project, upload: str, seed: int, progress: Progress) -> str:
    """Verify every announced object and freeze the list; return the dataset version.

    Raises `DataProblem` when files were announced that never arrived.
    """
    record = clients.state().project(project)
    upload = upload or record.last_upload
    files = uploads.announced_files(
        clients.s3(), settings().bucket, project, upload, Limits.from_environment()
    )
    problems = storage.fetch_examples(
        project,
        {file.sha256 for file in files},
        lambda part: progress.within(Stage.INGEST, part, f"verifying {len(files):,} files"),
    )
    _require_arrival(files, problems)
    if record.kind is Kind.TEXT:
        return _freeze_tables(record, files, seed)
    classes = {name: index for index, name in enumerate(record.classes)}
    found = tuple(
        _example(file, classes[file.class_name], problems.get(file.sha256))
        for file in files
        if file.class_name in classes
    )
    return storage.write_manifest(Manifest(project, record.kind, record.classes, found, seed=seed))


def _freeze_tables(record: ProjectRecord, files: list[AnnouncedFile], seed: int) -> str:
    """Read every row of the tables; the texts are kept once, by their content."""
    project = record.project
    rows = read_labelled_rows(
        [(file, storage.local_path(project, file.sha256)) for file in files],
        () if record.has_open_classes else record.classes,
        Limits.from_environment(),
    )
    manifest = Manifest(project, record.kind, rows.classes, tuple(rows.examples), seed=seed)
    examples.store_texts(project, manifest.version, rows.texts)
    if record.has_open_classes:
        clients.state().update_project(project, classes=rows.classes)
    return storage.write_manifest(manifest)


def _require_arrival(files: list[AnnouncedFile], problems: dict[str, Flag]) -> None:
    # A table with other content than announced was removed, and is as good as missing.
    missing = [
        file.name
        for file in files
        if (problem := problems.get(file.sha256)) is Flag.MISSING
        or (problem and file.kind is Kind.TEXT)
    ]
    if missing:
        raise DataProblem(
            f"{len(missing)} of {len(files)} announced files never arrived",
            fix="run the upload again; only what is missing will be sent",
            details=missing[:_NAMED_FILES],
        )


def _example(file: AnnouncedFile, class_index: int, problem: Flag | None) -> Example:
    return Example(
        sha256=file.sha256,
        class_index=class_index,
        source=file.name,
        size_bytes=file.size_bytes,
        requested_split=file.split,
        flags=(problem,) if problem else (),
        note="the stored bytes are not the announced ones: upload it again" if problem else "",
        is_feedback=file.is_feedback,
    )


# No retry: it is pure work on local copies, and a data problem stays one.
@task
def prepare_version(
    project: Project, frozen_version: str, progress: Progress, min_per_class: int = 0
) -> str:
    """Check every example, group duplicates, split; return the prepared dataset version."""
    frozen = storage.read_manifest(project, frozen_version)
    facts = _text_facts(frozen) if frozen.kind is Kind.TEXT else _picture_facts(frozen, progress)
    previous = earlier_splits(project)
    manifest = preparation.prepare(
        frozen,
        facts,
        Limits.from_environment().with_minimum(min_per_class),
        previous_test=previous[Split.TEST],
        previous_train=previous[Split.TRAIN] | previous[Split.VALIDATION],
    )
    version = storage.write_manifest(manifest)
    _publish_report(manifest, version)
    progress.record(dataset_version=version)
    return version


def _picture_facts(frozen: Manifest, progress: Progress) -> preparation.Facts:
    usable = [example for example in frozen.examples if not example.flags]
    storage.fetch_examples(frozen.project, {example.sha256 for example in usable})
    unique = sorted({example.sha256 for example in usable})
    found = inspection.inspect_images(
        [storage.local_path(frozen.project, sha256) for sha256 in unique],
        Limits.from_environment(),
        on_progress=lambda part: progress.within(Stage.PREPARE, part, "opening every picture"),
    )
    return dict(zip(unique, found, strict=True))


def _text_facts(frozen: Manifest) -> preparation.Facts:
    return {sha256: inspect_text(text) for sha256, text in examples.texts(frozen).items()}


def earlier_splits(project: Project) -> dict[Split, set[str]]:
    """What was once held out stays held out, and what was learnt from is held out last.

    Of the data set before this and of the one that the live model comes from: feedback may have
    been in that one and not in this.
    """
    state = clients.state()
    record = state.project(project)
    live = [v for v in state.versions(project) if v.model_version == record.model_version]
    versions = {record.dataset_version, *(version.dataset_version for version in live)} - {""}
    known = [e for version in versions for e in storage.read_manifest(project, version).examples]
    return {split: {e.sha256 for e in known if e.split is split} for split in Split}


def _publish_report(manifest: Manifest, version: str) -> None:
    is_text = manifest.kind is Kind.TEXT
    report = dataset_report.report(manifest, examples.texts(manifest) if is_text else None)
    project_keys = ProjectKeys(manifest.project)
    storage.put_json(project_keys.report(version, keys.REPORT_DATA), asdict(report))
    storage.put(
        project_keys.report(version, keys.REPORT_PAGE), report.as_html().encode(), "text/html"
    )
    create_markdown_artifact(report.as_markdown(), key="dataset", description=version)
    if is_text:
        _show_texts(manifest)
    else:
        _show_pictures(manifest)
    clients.state().update_project(
        manifest.project, dataset_version=version, report=report.summary()
    )


def _show_texts(manifest: Manifest) -> None:
    """Some training rows of each class."""
    found, shown = examples.texts(manifest), Counter[int]()
    rows = []
    for example in manifest.select(Split.TRAIN):
        shown[example.class_index] += 1
        if example.class_index < MAX_CLASSES and shown[example.class_index] <= _SHOWN_TEXTS:
            text = found[example.sha256]
            rows.append({"class": manifest.classes[example.class_index], "text": text[:200]})
    rows.sort(key=lambda row: manifest.classes.index(row["class"]))
    create_table_artifact(rows, key="examples", description="training rows of each class")


def _show_pictures(manifest: Manifest) -> None:
    """A row of training pictures per class; inside the artifact, so that it needs no address."""
    rows: list[list[Path]] = [[] for _ in manifest.classes]
    for example in manifest.select(Split.TRAIN):
        rows[example.class_index].append(storage.local_path(manifest.project, example.sha256))
    rows = rows[:MAX_CLASSES]
    sheet = base64.b64encode(contact_sheet(rows)).decode()
    create_image_artifact(
        f"data:image/jpeg;base64,{sheet}",
        key="examples",
        description=f"training pictures, a row for each of the first {len(rows)} classes",
    )
