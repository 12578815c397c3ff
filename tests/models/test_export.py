import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from contracts.bundle import Preprocessing
from contracts.errors import InvalidRequest
from models import zoo
from models.export import export_encoder, export_onnx, main, parity_error
from models.torchlibs import torch
from models.zoo import ZOO
from serving.preprocess import decode, to_tensor
from tests.models.inputs import BACKBONES, inputs_of
from tests.models.pictures import write_digits


def trained_like(name: str, classes: int) -> zoo.Classifier:
    """A classifier with statistics and head that are not the initial ones."""
    classifier = zoo.build(name, classes)
    torch.nn.init.normal_(classifier.head.weight)
    for module in classifier.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.8, 1.2)
    return classifier.eval()


@pytest.mark.parametrize("name", BACKBONES)
def test_onnx_gives_torchs_logits_for_any_batch(name: str, tmp_path: Path) -> None:
    classifier, preprocessing = trained_like(name, 5), ZOO[name].preprocessing
    graph = export_onnx(classifier, preprocessing)
    inputs = inputs_of(ZOO[name], 3).numpy()
    if isinstance(preprocessing, Preprocessing):
        paths, _ = write_digits(tmp_path, 3)
        pictures = [to_tensor(decode(path, preprocessing), preprocessing) for path in paths]
        inputs = np.stack(pictures)
    for count in (1, 3):
        assert parity_error(classifier, graph, inputs[:count]) < 1e-3


def test_parity_error_notices_another_model() -> None:
    images = np.random.default_rng(0).normal(size=(2, 3, 64, 64)).astype(np.float32)
    graph = export_onnx(trained_like("cnn", 5), zoo.backbone_named("cnn").preprocessing)
    assert parity_error(trained_like("cnn", 5), graph, images) > 1e-2


def test_inputs_and_outputs_have_their_names() -> None:
    session = onnxruntime.InferenceSession(
        export_onnx(trained_like("cnn", 5), zoo.backbone_named("cnn").preprocessing)
    )
    assert [(i.name, i.shape) for i in session.get_inputs()] == [("image", ["n", 3, 64, 64])]
    assert [(o.name, o.shape) for o in session.get_outputs()] == [
        ("logits", ["n", 5]),
        ("features", ["n", 256]),
    ]


def test_the_encoder_gives_features(tmp_path: Path) -> None:
    blocks = trained_like("cnn", 2).blocks
    torch.save(blocks.state_dict(), tmp_path / "w.pth")
    session = onnxruntime.InferenceSession(export_encoder("cnn", tmp_path / "w.pth"))
    image = np.random.default_rng(0).normal(size=(2, 3, 64, 64)).astype(np.float32)
    (features,) = session.run(["features"], {"image": image})
    with torch.inference_mode():
        expected = blocks.eval()(torch.from_numpy(image)).mean(dim=(2, 3)).numpy()
    assert np.abs(features - expected).max() < 1e-4


def test_the_program_writes_an_encoder(tmp_path: Path) -> None:
    torch.save(zoo.build("cnn", 2).blocks.state_dict(), tmp_path / "w.pth")
    command = [sys.executable, "-m", "models.export", "--backbone", "cnn"]
    command += ["--weights", str(tmp_path / "w.pth"), "--output", str(tmp_path / "e.onnx")]
    subprocess.run(command, check=True)
    assert onnxruntime.InferenceSession(tmp_path / "e.onnx").get_outputs()[0].shape == ["n", 256]


def test_broken_weights_leave_no_file(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"")
    arguments = ["--backbone", "cnn", "--weights", str(tmp_path / "w.pth")]
    with pytest.raises(InvalidRequest):
        main([*arguments, "--output", str(tmp_path / "e.onnx")])
    assert [path.name for path in tmp_path.iterdir()] == ["w.pth"]
