"""What is known of texts before anything is learnt: likeness, telling words, storage."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts.errors import DataProblem
from contracts.identity import Project
from contracts.limits import Limits
from contracts.manifest import Flag, Kind, Manifest, Split
from contracts.requests import AnnouncedFile
from models.dataset_report import report
from models.labelled_rows import read_labelled_rows
from models.preparation import prepare
from models.telling_words import telling_words
from models.text_inspection import inspect_text, same_likeness
from models.text_store import read_texts, write_texts
from tests.texts import labelled_texts, write_table


def test_texts_that_differ_in_trifles_are_alike() -> None:
    texts = ["Call 0800 123 NOW!", "call 0800 999 now", "Call me later", "😀", "😀", "🎉"]
    assert same_likeness([inspect_text(text) for text in texts]) == [[0, 1], [3, 4]]


def test_the_words_of_a_class_are_found() -> None:
    rows = labelled_texts(60)
    names = ["food", "sport", "weather"]
    found = telling_words(
        [t for t, _ in rows], [names.index(label) for _, label in rows], 3, top=30
    )
    for words, wanted in zip(found, ("bread", "penalty", "rain"), strict=True):
        assert wanted in words
    assert not {"said", "ann"} & {word for words in found for word in words[:5]}


def test_stored_texts_come_back_and_altered_ones_do_not(tmp_path: Path) -> None:
    texts = {inspect_sha(text): text for text in ("one", "zwei 🎉", "שלום")}
    write_texts(tmp_path / "t.parquet", texts)
    assert read_texts(tmp_path / "t.parquet") == texts
    table = pa.table({"sha256": list(texts), "text": ["other"] * 3})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(DataProblem, match="altered"):
        read_texts(tmp_path / "t.parquet")


def inspect_sha(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()


def prepared(tmp_path: Path, extra: str = "") -> tuple[Manifest, dict[str, str]]:
    path = write_table(tmp_path / "t.csv", 120)
    path.write_text(path.read_text() + extra)
    file = AnnouncedFile("", "t.csv", path.stat().st_size, "0" * 64, "text/csv")
    rows = read_labelled_rows([(file, path)], (), Limits())
    frozen = Manifest(Project("ann", "texts"), Kind.TEXT, rows.classes, tuple(rows.examples))
    facts = {sha256: inspect_text(text) for sha256, text in rows.texts.items()}
    return prepare(frozen, facts, Limits()), rows.texts


def test_rows_are_split_and_what_is_doubtful_is_set_aside(tmp_path: Path) -> None:
    extra = "twice the same,food\ntwice the same,food\nboth labels,food\nboth labels,sport\n"
    manifest, _ = prepared(tmp_path, extra)
    kept = [example for example in manifest.examples if example.split]
    test = [example for example in kept if example.split is Split.TEST]
    assert len(test) / len(kept) == pytest.approx(0.30, abs=0.02)
    aside = {e.source: e for e in manifest.examples if not e.split}
    assert [aside[f"t.csv:{line}"].flags[0] for line in (363, 364, 365)] == [
        Flag.DUPLICATE,
        Flag.CONFLICT,
        Flag.CONFLICT,
    ]
    assert "same row as 't.csv:362'" in aside["t.csv:363"].note
    assert "'food' and 'sport'" in aside["t.csv:364"].note


def test_near_copies_never_straddle_the_split(tmp_path: Path) -> None:
    extra = "".join(f"Win prize number {n} today!,sport\n" for n in range(20))
    manifest, _ = prepared(tmp_path, extra)
    likes = [e for e in manifest.examples if Flag.NEAR_DUPLICATE in e.flags and e.split]
    assert len(likes) == 20
    assert len({example.split for example in likes}) == 1


def test_too_few_rows_are_told(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.csv", 99)
    file = AnnouncedFile("", "t.csv", path.stat().st_size, "0" * 64, "text/csv")
    rows = read_labelled_rows([(file, path)], (), Limits())
    frozen = Manifest(Project("ann", "texts"), Kind.TEXT, rows.classes, tuple(rows.examples))
    facts = {sha256: inspect_text(text) for sha256, text in rows.texts.items()}
    with pytest.raises(DataProblem, match="3 classes need more rows") as problem:
        prepare(frozen, facts, Limits())
    assert problem.value.details[0] == "class 'food' needs 1 more row (100 needed, 99 usable)"
    assert prepare(frozen, facts, Limits().with_minimum(20)).is_prepared


def test_the_report_shows_lengths_and_telling_words(tmp_path: Path) -> None:
    manifest, texts = prepared(tmp_path, "twice <b>the same,food\ntwice <b>the same,food\n")
    found = report(manifest, texts)
    assert found.set_aside[0].files == ["t.csv:363 “twice <b>the same”"]
    assert "<b>" not in found.as_html()
    assert [d.name for d in found.distributions] == ["characters", "words"]
    assert dict(found.telling_words).keys() == {"food", "sport", "weather"}
    assert "Most telling words" in found.as_html()
    assert "Lengths" in found.as_html()
    assert "Most telling words" in found.as_markdown()
