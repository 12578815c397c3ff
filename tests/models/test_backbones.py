"""Backbones of other packages, as docs/backbones.md says, and those that are none."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.errors import InvalidRequest
from contracts.manifest import Kind
from models import zoo
from models.backbones import FORMS, form_named, known
from models.data import TrainingData
from models.export import export_onnx, parity_error
from models.recipe import RECIPES
from models.training import train
from tests.models.inputs import inputs_of
from tests.models.pictures import write_digits

DOCS = Path(__file__).parents[2] / "docs" / "backbones.md"


def install(folder: Path, name: str, code: str, entries: str) -> None:
    """What installing a package leaves in a folder of the path."""
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(f"[exemplar.backbones]\n{entries}\n")


@pytest.fixture
def documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The documentation's own package, installed."""
    text = DOCS.read_text()
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    entry = re.search(r'^(tiny) = "(.*?)"$', text, re.MULTILINE)
    assert code
    assert entry
    folder = tmp_path / "site"
    folder.mkdir()
    install(folder, "my_backbones", code[1], f"{entry[1]} = {entry[2]}")
    monkeypatch.syspath_prepend(folder)
    return folder


def test_the_documented_plug_in_is_known_and_trains(documented: Path, tmp_path: Path) -> None:
    assert "tiny" in known()
    assert form_named("tiny").kind is Kind.IMAGE
    paths, labels = write_digits(tmp_path / "digits", 60, classes=3)
    data = TrainingData(paths[:48], labels[:48], paths[48:], labels[48:], ("0", "1", "2"))
    recipe = replace(RECIPES["scratch"], backbone="tiny", epochs=2)
    trained = train(recipe, data, None, tmp_path / "run")
    assert trained.epochs == 2
    classifier = zoo.build("tiny", 3)
    graph = export_onnx(classifier, zoo.backbone_named("tiny").preprocessing)
    inputs = inputs_of(zoo.backbone_named("tiny"), 2).numpy()
    assert parity_error(classifier, graph, inputs) < 1e-3


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("THING = 5", "no backbone named 'broken'"),
        ("raise RuntimeError('no such library')", "cannot be loaded: no such library"),
        ("pass", "cannot be loaded"),
    ],
)
def test_a_broken_plug_in_is_told_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    module = f"broken_{abs(hash(code))}"
    install(tmp_path, module, code, f"broken = {module}:THING")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InvalidRequest, match=said):
        form_named("broken")
    with pytest.raises(InvalidRequest):
        zoo.backbone_named("broken")


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InvalidRequest, match="'resnet1000' is unknown") as refusal:
        form_named("resnet1000")
    assert "resnet50" in refusal.value.fix


def test_what_is_known_without_torch_is_what_there_is() -> None:
    assert FORMS.keys() == zoo.ZOO.keys()
    for name, form in FORMS.items():
        backbone = zoo.ZOO[name]
        assert (backbone.feature_dim, backbone.preprocessing, backbone.has_weights) == (
            form.feature_dim,
            form.preprocessing,
            form.has_weights,
        )


def test_the_documentation_names_every_backbone() -> None:
    text = DOCS.read_text()
    assert not [name for name in FORMS if f"`{name}`" not in text]
