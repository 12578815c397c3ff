"""Prepare hostile uploads beside sound ones, in a bounded process; see `measured.in_process`."""

import hashlib
import tempfile
from pathlib import Path

from contracts.errors import ExemplarError
from contracts.identity import Project, shown_name
from contracts.limits import Limits
from contracts.manifest import Example, Kind, Manifest
from contracts.requests import AnnouncedFile
from models import dataset_report
from models.contact_sheet import contact_sheet
from models.inspection import ImageFacts, inspect_image, inspect_images
from models.labelled_rows import read_labelled_rows
from models.preparation import prepare
from models.problems import Problem
from models.text_inspection import inspect_text
from models.text_store import read_texts, write_texts
from tests.hostile.drawn import Hostile
from tests.hostile.measured import Measured, bounded, tell
from tests.hostile.names import NAMES
from tests.hostile.pictures import hostile_pictures
from tests.hostile.tables import hostile_tables
from tests.models.labelled_pictures import scene

_LIMITS = Limits(min_rows_per_class=6)
_SOUND = 30  # pictures that nothing is wrong with
_PROJECT = Project("ann", "hostile")


def main() -> None:
    options = bounded()
    measured = Measured()
    with tempfile.TemporaryDirectory() as folder:
        prepare_pictures(options, Path(folder), measured)
        for table in hostile_tables(options["tables"], options["seed"]):
            with measured.piece(table.kind, table.id) as outcome:
                prepare_table(table, Path(folder), outcome)
    tell(measured.report())


def prepare_pictures(options: dict[str, int], folder: Path, measured: Measured) -> None:
    """All in one project, as threads do it; with one thread each picture is measured."""
    paths, examples = [], []
    for number in range(_SOUND):
        path = folder / f"sound-{number}"
        scene(number).save(path, "PNG")
        paths.append(path)
        examples.append(_example(path, number % 2, f"sound {number}.png"))
    for number, picture in enumerate(hostile_pictures(options["pictures"], options["seed"])):
        path = folder / picture.id
        path.write_bytes(picture.data)
        paths.append(path)
        examples.append(
            _example(path, number % 2, shown_name(f"{NAMES[number % len(NAMES)]}{number}"))
        )
    found = _inspected(paths, options["threads"], measured)
    with measured.piece("project", "project") as outcome:
        outcome.append(_prepared(paths, examples, found))


def _inspected(paths: list[Path], threads: int, measured: Measured) -> list[ImageFacts | Problem]:
    if threads > 1:
        return inspect_images(paths, _LIMITS, workers=threads)
    found: list[ImageFacts | Problem] = []
    for path in paths:
        with measured.piece(path.name.rpartition("-")[0], path.name) as outcome:
            one = inspect_image(path, _LIMITS)
            found.append(one)
            kept = isinstance(one, ImageFacts)
            outcome.append("kept" if kept else f"{one.flag}: {one.note.partition(':')[0]}")
            outcome[0] = "kept" if kept else str(one.flag)
            outcome.append("kept" if kept else f"{one.flag}: {one.note}")
    return found


def _prepared(paths: list[Path], examples: list[Example], found: list[ImageFacts | Problem]) -> str:
    """Every bad one is set aside with a reason and a fix, every sound one stays."""
    classes = ("cat", "<img src=x onerror=alert(1)>")
    frozen = Manifest(_PROJECT, Kind.IMAGE, classes, tuple(examples))
    facts = {e.sha256: fact for e, fact in zip(examples, found, strict=True)}
    prepared = prepare(frozen, facts, _LIMITS)
    assert all(example.split for example in prepared.examples[:_SOUND])
    for example in prepared.examples:
        assert example.split or (example.flags and example.note), example
    for problem in (fact for fact in found if isinstance(fact, Problem)):
        assert ": " in problem.note, problem  # what is wrong, then what to do
    assert Manifest.from_json(prepared.to_json()) == prepared
    page = dataset_report.report(prepared)
    assert b"<img src=x" not in page.as_html().encode()
    page.as_markdown().encode()
    used = [p for p, e in zip(paths, prepared.examples, strict=True) if e.split]
    contact_sheet([used])
    aside = sum(example.is_set_aside for example in prepared.examples)
    return f"{len(used)} used, {aside} set aside"


def prepare_table(table: Hostile, folder: Path, outcome: list[str]) -> None:
    """A table alone in a project of text: rows, or a refusal with a fix."""
    path = folder / table.id
    path.write_bytes(table.data)
    digest = hashlib.sha256(table.data).hexdigest()
    name = shown_name(NAMES[table.number % len(NAMES)])
    file = AnnouncedFile("", name, max(len(table.data), 1), digest, "text/csv")
    try:
        rows = read_labelled_rows([(file, path)], (), _LIMITS)
        frozen = Manifest(_PROJECT, Kind.TEXT, rows.classes, tuple(rows.examples))
        write_texts(folder / "texts", rows.texts)
        texts = read_texts(folder / "texts")
        facts = {sha256: inspect_text(text) for sha256, text in texts.items()}
        prepared = prepare(frozen, facts, _LIMITS)
        dataset_report.report(prepared, texts).as_html().encode()
    except ExemplarError as error:
        outcome += [error.code if error.fix else "no fix", f"{error.message} | {error.fix}"]
        return
    aside = [example for example in prepared.examples if example.is_set_aside]
    assert all(example.note for example in aside)
    outcome += ["kept", f"{len(prepared.examples)} rows, {len(aside)} set aside"]


def _example(path: Path, index: int, source: str) -> Example:
    data = path.read_bytes()
    return Example(hashlib.sha256(data).hexdigest(), index, source, len(data))


if __name__ == "__main__":
    main()
