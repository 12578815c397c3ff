import pickle
from pathlib import Path

import pytest

from contracts.errors import InvalidRequest
from models.torchlibs import torch, torchvision
from models.zoo import ZOO, build, frozen_copy
from tests.models.inputs import BACKBONES, inputs_of


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_gives_logits(name: str) -> None:
    classifier = build(name, classes=7).eval()
    inputs = inputs_of(ZOO[name], 2)
    with torch.inference_mode():
        assert classifier.embed(inputs).shape == (2, ZOO[name].feature_dim)
        assert classifier(inputs).shape == (2, 7)


def test_a_new_head_prefers_no_class() -> None:
    with torch.inference_mode():
        assert build("cnn", classes=3).eval()(torch.randn(2, 3, 64, 64)).abs().max() == 0


def test_weights_are_taken_over(tmp_path: Path) -> None:
    original = torchvision.models.mobilenet_v2()
    torch.save(original.state_dict(), tmp_path / "w.pth")
    loaded = build("mobilenet_v2", 2, tmp_path / "w.pth")
    expected = original.features.state_dict()
    assert all(torch.equal(v, expected[k]) for k, v in loaded.blocks.state_dict().items())


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save(build("cnn", 2).state_dict(), tmp_path / "cnn.pth")
    with pytest.raises(InvalidRequest, match=r"cnn\.pth"):
        build("mobilenet_v2", 2, tmp_path / "cnn.pth")


class Trap:
    """Pickled, it would run a program when loaded."""

    def __reduce__(self):
        return (print, ("trapped",))


@pytest.mark.parametrize("content", [pickle.dumps(Trap()), b"", b"no weights"])
def test_a_file_that_is_more_or_less_than_weights_is_refused(
    tmp_path: Path, content: bytes, capsys
) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(InvalidRequest):
        build("cnn", 2, tmp_path / "w.pth")
    assert "trapped" not in capsys.readouterr().out


def test_a_missing_file_and_an_unknown_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest):
        build("cnn", 2, tmp_path / "none.pth")
    with pytest.raises(InvalidRequest, match="resnet"):
        build("resnet", 2)


@pytest.mark.parametrize(("last", "first"), [(0, 5), (2, 3), (99, 0)])
def test_unfreezing_reaches_the_parameters(last: int, first: int) -> None:
    classifier = build("cnn", 2)
    assert classifier.unfreeze(last) == first
    learning = [any(p.requires_grad for p in block.parameters()) for block in classifier.blocks]
    assert learning == [index >= first for index in range(5)]
    assert all(p.requires_grad for p in classifier.head.parameters())


@pytest.mark.parametrize("name", BACKBONES)
def test_the_frozen_copy_gives_the_same_values(name: str) -> None:
    blocks = build(name, 2).blocks
    for module in blocks.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
    inputs, pool = inputs_of(ZOO[name], 2), ZOO[name].pool
    copied = frozen_copy(blocks)
    with torch.inference_mode():
        expected, given = pool(blocks.eval()(inputs)), pool(copied(inputs))
    assert (expected - given).abs().max() < 1e-3 * expected.abs().max()
    for sequence in [m for m in copied.modules() if isinstance(m, torch.nn.Sequential)]:
        assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in sequence)
    assert not any(p.requires_grad for p in copied.parameters())


@pytest.mark.parametrize("name", sorted(ZOO))
def test_the_number_of_parameters_is_that_of_the_blocks(name: str) -> None:
    backbone = ZOO[name]
    with torch.device("meta"):
        blocks = backbone.build()
    assert sum(value.numel() for value in blocks.parameters()) == backbone.parameters
