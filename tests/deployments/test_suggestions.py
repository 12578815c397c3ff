"""What to label next, by a bundle on this machine."""

from pathlib import Path

import pytest

from contracts.errors import DataProblem, InvalidRequest, NotFound
from deployments.suggestions import suggest_from
from tests.lambdas.test_predict_text import write_text_bundle
from tests.texts import labelled_texts


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text") / "bundle"
    write_text_bundle(folder)
    return folder


def test_rows_without_labels_are_suggested(bundle: Path, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    rows = [f'"{text}",{label}' for text, label in labelled_texts(10, seed=5)]
    rows += [f'"{text}",' for text, _ in labelled_texts(5, seed=6)]
    table.write_text("\n".join(["text,label", *rows]))
    seen: list[tuple[int, int]] = []
    found = suggest_from(bundle, table, 4, on_progress=lambda *counts: seen.append(counts))
    assert (found.looked_at, seen[-1]) == (15, (15, 15))
    assert len({one.text for one in found.suggestions}) == 4
    assert all(int(one.name.removeprefix("rows.csv:")) > 31 for one in found.suggestions)
    assert found.suggestions[0].confidence == max(found.suggestions[0].likeliest.values())


@pytest.mark.parametrize(("name", "head"), [("lines.txt", ""), ("one.csv", "text\n")])
def test_a_file_of_texts_alone_is_read(bundle: Path, tmp_path: Path, name: str, head: str) -> None:
    file = tmp_path / name
    texts = [text.replace(",", "") for text, _ in labelled_texts(5, seed=6)]
    file.write_text(head + "\n".join(texts))
    found = suggest_from(bundle, file, 50)
    assert found.looked_at == 15
    assert {one.text for one in found.suggestions} <= set(texts)


def test_what_cannot_be_looked_at_is_told(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("text,label\n")
    with pytest.raises(DataProblem):
        suggest_from(bundle, tmp_path / "empty.csv", 5)
    with pytest.raises(InvalidRequest, match="the model is for texts"):
        suggest_from(bundle, tmp_path, 5)
    with pytest.raises(NotFound, match="does not exist"):
        suggest_from(bundle, tmp_path / "none", 5)
    with pytest.raises(InvalidRequest, match="0 examples"):
        suggest_from(bundle, tmp_path / "empty.csv", 0)
