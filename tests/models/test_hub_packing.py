"""Models of the hub as backbones: taken apart, trained, exported; and those that do not fit."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from contracts.bundle import ModelCard, Preprocessing, TextPreprocessing
from contracts.errors import BundleInvalid, InvalidRequest
from contracts.manifest import Kind
from models import zoo
from models.backbones import form_named
from models.checkpoints import load_best
from models.data import TrainingData
from models.export import export_onnx, parity_error
from models.hub import pack_folder
from models.hub_blocks import load_model
from models.hub_packs import Pack, pack_path
from models.recipe import RECIPES, TEXT_RECIPES, Recipe
from models.sentence_encoders import read_tokenizer
from models.torchlibs import torch
from models.training import train
from serving.predictor import Predictor
from serving.readers import Source
from tests.hub_models import write_picture_model, write_text_model
from tests.models.pictures import write_digits

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXEMPLAR_CACHE_DIR", str(tmp_path / "cache"))


def packed(folder: Path, name: str) -> Pack:
    pack_folder(name.removeprefix("hf:"), "abc", folder, pack_path(name))
    return Pack.read(pack_path(name))


@pytest.mark.parametrize(
    ("kind", "has_layers", "pool"),
    [
        ("vit", True, "class token"),
        ("dinov2", True, "class token"),
        ("resnet", True, "maps"),
        ("convnext", True, "maps"),
        ("mobilevit", True, "maps"),
        ("swin", False, "mean of patches"),
    ],
)
def test_pictures_features_are_those_of_the_librarys_model(
    tmp_path: Path, kind: str, has_layers: bool, pool: str
) -> None:
    name = f"hf:me/{kind}"
    folder = write_picture_model(tmp_path / "model", kind)
    pack = packed(folder, name)
    assert (pack.hub_id, pack.revision) == (f"me/{kind}", "abc")
    assert (pack.has_layers, pack.pool) == (has_layers, pool)
    assert form_named(name).feature_dim == pack.feature_dim
    classifier = zoo.build(name, 3, pack_path(name)).eval()
    pictures = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        model = load_model(folder).eval()
        states = model(pixel_values=pictures.flip(1) if kind == "mobilevit" else pictures)
        states = states.last_hidden_state
        expected = states[:, 0] if pool == "class token" else states.flatten(2).mean(2)
        if pool == "mean of patches":
            expected = states.mean(1)
        found = classifier.embed(pictures)
    assert expected.abs().max() > 1e-3
    assert (found - expected).abs().max() < 1e-4
    # Another machine builds it from the pack, for a checkpoint's weights.
    zoo.build(name, 3).load_state_dict(classifier.state_dict())


@pytest.mark.parametrize(
    ("kind", "has_layers"), [("bert", True), ("roberta", True), ("electra", False)]
)
def test_texts_features_ignore_the_padding(tmp_path: Path, kind: str, has_layers: bool) -> None:
    name = f"hf:me/{kind}"
    pack = packed(write_text_model(tmp_path / "model", kind), name)
    assert (pack.has_layers, pack.pool) == (has_layers, "mean of tokens")
    assert isinstance(pack.preprocessing, TextPreprocessing)
    assert pack.preprocessing.max_tokens == 63
    classifier = zoo.build(name, 2, pack_path(name)).eval()
    ids = torch.tensor([[2, 5, 6, 3]])
    longer = torch.cat([ids, torch.zeros(1, 20, dtype=torch.int64)], dim=1)
    with torch.inference_mode():
        alone, padded = classifier.embed(ids), classifier.embed(longer)
    assert (alone - padded).abs().max() < 1e-5


def trained(
    name: str, recipe: Recipe, data: TrainingData, folder: Path, tokenizer: bytes | None = None
) -> tuple[Predictor, zoo.Classifier]:
    """The trained model as it is served, and as torch has it."""
    result = train(recipe, data, pack_path(name), folder)
    classifier, used = load_best(result.best_checkpoint)
    assert used.backbone == name
    preprocessing = form_named(name).preprocessing
    graph = export_onnx(classifier, preprocessing)
    kind = Kind.TEXT if tokenizer else Kind.IMAGE
    card = ModelCard(kind, data.classes, preprocessing, "d" * 64, name, "tuned")
    predictor = Predictor(card, graph, tokenizer=tokenizer)
    rows = predictor.read(data.validation_sources).rows
    assert parity_error(classifier, graph, rows) < 1e-4
    return predictor, classifier


def test_a_picture_model_trains_and_is_served(tmp_path: Path) -> None:
    name = "hf:me/tiny-vit"
    packed(write_picture_model(tmp_path / "model"), name)
    paths, labels = write_digits(tmp_path / "digits", 120, classes=3)
    data = TrainingData(paths[:90], labels[:90], paths[90:], labels[90:], ("0", "1", "2"))
    recipe = Recipe.from_dict(
        RECIPES["fast"].as_dict()
        | {"backbone": name, "epochs": 6, "learning_rate": 3e-3, "flip": False}
    )
    predictor, _ = trained(name, recipe, data, tmp_path / "run")
    answers = predictor.probabilities(data.validation_sources).argmax(1)
    assert (answers == labels[90:]).mean() > 0.6  # a third by chance


def test_a_text_model_trains_and_is_served(tmp_path: Path) -> None:
    name = "hf:me/tiny-distilbert"
    packed(write_text_model(tmp_path / "model"), name)
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_bytes(read_tokenizer(pack_path(name)))
    texts: list[Source] = [
        f"the {word} is {end}" for word in ("soup", "bread", "goal", "match") for end in "abcdefgh"
    ]
    labels = [0] * 16 + [1] * 16
    data = TrainingData(texts, labels, texts[::3], labels[::3], ("food", "sport"), tokenizer)
    recipe = Recipe.from_dict(
        TEXT_RECIPES["fast"].as_dict()
        | {"backbone": name, "epochs": 2, "unfrozen_blocks": 2, "contrastive_steps": 0}
    )
    predictor, _ = trained(name, recipe, data, tmp_path / "run", tokenizer.read_bytes())
    answers = predictor.probabilities(texts).argmax(1)
    assert np.mean(answers == np.array(labels)) > 0.9


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def changed(file: str, **values: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / file
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def half_the_layers(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    tensors = {k: v for k, v in load_file(path).items() if ".2." not in k}
    save_file(tensors, path, {"format": "pt"})


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


PROCESSOR = "preprocessor_config.json"


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (without("config.json"), "no config.json"),
        (pickled, "no model.safetensors"),
        (half_the_layers, "weights are missing"),
        (without(PROCESSOR), "neither a preprocessor_config.json"),
        (changed(PROCESSOR, size={"height": 32, "width": 64}), "no squares"),
        (changed(PROCESSOR, size={"height": 48, "width": 48}), "running it failed"),
        (changed(PROCESSOR, rescale_factor=1), "not scaled to 0..1"),
        (changed(PROCESSOR, image_mean=[0.5], image_std=[0.5]), "1 channels"),
        (
            changed("config.json", model_type="mine", auto_map={"AutoModel": "code.Mine"}),
            "loading its weights failed",
        ),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"junk"), "loading its weights"),
    ],
)
def test_a_model_that_does_not_fit_says_why(
    tmp_path: Path, break_it: Callable[[Path], None], said: str
) -> None:
    folder = write_picture_model(tmp_path / "model")
    (folder / "code.py").write_text("raise SystemExit('never run')")
    break_it(folder)
    with pytest.raises(InvalidRequest, match=said) as refusal:
        packed(folder, "hf:me/broken")
    assert refusal.value.fix
    assert not pack_path("hf:me/broken").exists()


def test_a_text_model_needs_its_own_fast_tokenizer(tmp_path: Path) -> None:
    folder = write_text_model(tmp_path / "model")
    changed("config.json", vocab_size=10)(folder)
    with pytest.raises(InvalidRequest, match="tokenizer knows"):
        packed(folder, "hf:me/broken")
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises((InvalidRequest, BundleInvalid), match="tokenizer"):
        packed(folder, "hf:me/broken")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InvalidRequest, match=r"no tokenizer.json"):
        packed(folder, "hf:me/broken")


def test_other_sizes_of_pictures(tmp_path: Path) -> None:
    """A crop out of a larger picture, and the share of it that ConvNeXt's processor names."""
    folder = write_picture_model(tmp_path / "model", "convnext")
    changed(PROCESSOR, size={"shortest_edge": 56}, crop_pct=0.875)(folder)
    assert packed(folder, "hf:me/a").preprocessing == Preprocessing(
        56, 64, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    )
    changed(PROCESSOR, size={"shortest_edge": 64}, crop_size=48, do_center_crop=True)(folder)
    form = packed(folder, "hf:me/b").preprocessing
    assert isinstance(form, Preprocessing)
    assert (form.size, form.resize) == (48, 64)


def test_an_unfetched_model_says_so() -> None:
    with pytest.raises(InvalidRequest, match="has not been fetched"):
        form_named("hf:me/nothing")
