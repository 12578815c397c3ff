"""A bundle asked about labelled examples on this machine."""

import zipfile
from pathlib import Path

import pytest

from contracts.errors import BundleInvalid, DataProblem, InvalidRequest, NotFound
from deployments.local_evaluation import evaluate_bundle
from models.bundle_writer import write_bundle
from tests.deployments.pictures import write_classes
from tests.lambdas.test_predict_text import write_text_bundle
from tests.serving.conftest import colour_card, colour_graph
from tests.texts import write_table


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text") / "bundle"
    write_text_bundle(folder)
    return folder


def zipped(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    return target


def test_a_table_is_evaluated(bundle: Path, tmp_path: Path) -> None:
    table = write_table(tmp_path / "rows.csv", 40, seed=3)
    table.write_text(table.read_text() + "a word,poetry\n,food\n")
    seen: list[float] = []
    found = evaluate_bundle(zipped(bundle, tmp_path / "b.zip"), table, on_progress=seen.append)
    assert (found.examples, seen[-1]) == (120, 1.0)
    assert found.accuracy > 0.9
    assert found.interval[0] < found.accuracy <= found.interval[1]
    assert [(c.name, c.examples) for c in found.classes] == [
        ("food", 40),
        ("sport", 40),
        ("weather", 40),
    ]
    assert sum(found.left_out.values()) == 2
    wrong = round(120 * (1 - found.accuracy))
    assert sum(count for *_, count in found.confusions) <= wrong


def test_pictures_are_evaluated(tmp_path: Path) -> None:
    write_bundle(tmp_path / "b", colour_card(), colour_graph())
    folder = write_classes(tmp_path / "pictures", 2, ("rot", "unknown"))
    found = evaluate_bundle(tmp_path / "b", folder)
    assert found.examples == 2
    assert found.left_out == {"the class 'unknown' is none of the bundle's": 2}


def test_what_cannot_be_evaluated_is_told(bundle: Path, tmp_path: Path) -> None:
    table = write_table(tmp_path / "rows.csv", 5)
    other = tmp_path / "other.csv"
    other.write_text("text,label\nso,x\nsuch,y\n")
    with pytest.raises(InvalidRequest, match="holds no texts"):
        evaluate_bundle(bundle, write_classes(tmp_path / "pictures", 1))
    with pytest.raises(DataProblem, match="none of the examples"):
        evaluate_bundle(bundle, other)
    (tmp_path / "no.zip").write_bytes(b"no zip")
    with pytest.raises(NotFound, match="is no bundle"):
        evaluate_bundle(tmp_path / "no.zip", table)
    with pytest.raises(BundleInvalid):
        evaluate_bundle(tmp_path, table)
