"""Backbones as data, and the classifier that every one of them becomes part of."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, cast
from zipfile import BadZipFile

from contracts.errors import InvalidRequest
from contracts.hub_names import is_hub_model
from models import hub_blocks, hub_packs, text_backbone
from models.backbones import FORMS, Form, plugin
from models.torchlibs import torch, torchvision

nn = torch.nn
fuse_conv_bn_eval = torch.nn.utils.fusion.fuse_conv_bn_eval


Pool = Callable[[Any], torch.Tensor]


def pooled(maps: torch.Tensor) -> torch.Tensor:
    """Mean over the picture: `(n, feature_dim, h, w)` to `(n, feature_dim)`."""
    return maps.mean(dim=(2, 3))


def _no_weights(weights: Path) -> nn.Sequential:
    raise ValueError(f"this backbone takes no weights, {weights.name!r} among them")


@dataclass(frozen=True, slots=True)
class Backbone(Form):
    """A feature extractor: blocks in order, of which the last ones can be tuned, and a pool.

    `build` makes the blocks with random weights; `load` makes them from a file of weights, and
    raises what it likes for one that does not fit. `pool` takes the last block's output.
    """

    build: Callable[[], nn.Sequential] = nn.Sequential
    load: Callable[[Path], nn.Sequential] = _no_weights
    pool: Pool = pooled


class Classifier(nn.Module):
    """Blocks, a mean over the example, dropout, one linear layer. Gives logits, never softmax."""

    def __init__(
        self,
        blocks: nn.Sequential,
        feature_dim: int,
        classes: int,
        dropout: float = 0.0,
        pool: Pool = pooled,
    ) -> None:
        """Start with a head of zeros: every class is equally likely."""
        super().__init__()
        self.blocks, self.pool = blocks, pool
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(feature_dim, classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """`(n, 3, size, size)`, or tokens `(n, tokens)`, to logits `(n, classes)`."""
        return self.classify(self.embed(inputs))

    def embed(self, inputs: torch.Tensor) -> torch.Tensor:
        """`(n, 3, size, size)`, or tokens `(n, tokens)`, to features `(n, feature_dim)`."""
        return self.pool(self.blocks(inputs))

    def classify(self, features: torch.Tensor) -> torch.Tensor:
        """Features `(n, feature_dim)` to logits `(n, classes)`."""
        return cast("torch.Tensor", self.head(self.dropout(features)))

    def unfreeze(self, last_blocks: int) -> int:
        """Let the head and the last blocks learn, nothing else; return the first such block."""
        self.requires_grad_(False)
        self.head.requires_grad_(True)
        first = max(len(self.blocks) - last_blocks, 0)
        self.blocks[first:].requires_grad_(True)
        return first


def frozen_copy(blocks: nn.Sequential) -> nn.Sequential:
    """Copy blocks for inference only, each batch norm folded into the convolution before it.

    In channels_last memory this takes half the time of the original and gives the same values.
    """
    copied = copy.deepcopy(blocks).eval().requires_grad_(False)
    for sequence in [m for m in copied.modules() if isinstance(m, nn.Sequential)]:
        names = list(sequence._modules)
        for name, following in pairwise(names):
            conv, norm = sequence._modules[name], sequence._modules[following]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                sequence._modules[name] = fuse_conv_bn_eval(conv, norm)
                sequence._modules[following] = nn.Identity()
    return in_channels_last(copied)


def in_channels_last(blocks: nn.Sequential) -> nn.Sequential:
    """Lay the weights out as the CPU's convolutions want them, in place."""
    blocks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return blocks


def build(name: str, classes: int, weights: Path | None = None, dropout: float = 0.0) -> Classifier:
    """Make a classifier, its backbone from `weights` or random.

    Raises `InvalidRequest` for an unknown backbone or weights that do not fit it exactly.
    """
    backbone = backbone_named(name)
    blocks = backbone.build() if weights is None else _load(backbone, weights)
    return Classifier(blocks, backbone.feature_dim, classes, dropout, backbone.pool)


def backbone_named(name: str) -> Backbone:
    """Look a backbone up. Raises `InvalidRequest` for an unknown name."""
    if name in ZOO:
        return ZOO[name]
    if is_hub_model(name):
        return _of_hub(name)
    found = plugin(name)
    if not isinstance(found, Backbone):
        raise InvalidRequest(
            f"the plug-in {name!r} has no blocks", fix="make it a models.zoo.Backbone"
        )
    return found


def _of_hub(name: str) -> Backbone:
    pack, path = hub_packs.pack_of(name), hub_packs.pack_path(name)
    return Backbone(
        name,
        pack.feature_dim,
        pack.preprocessing,
        build=lambda: hub_blocks.random_blocks(path),
        load=hub_blocks.load_blocks,
        pool=hub_blocks.POOLS[pack.pool],
    )


def _load(backbone: Backbone, weights: Path) -> nn.Sequential:
    try:
        return backbone.load(weights)
    except (RuntimeError, OSError, KeyError, ValueError, TypeError, EOFError, BadZipFile) as error:
        raise InvalidRequest(
            f"weights {weights.name!r} do not fit backbone {backbone.name!r}: {str(error)[:300]}",
            fix="give the state dict that torch.save(model.state_dict(), path) wrote",
        ) from error
    except Exception as error:
        # torch.load's refusal of pickled code is an UnpicklingError of the pickle module.
        raise InvalidRequest(
            f"weights {weights.name!r} hold more than tensors: {str(error)[:200]}",
            fix="give a file that torch.load(path, weights_only=True) accepts",
        ) from error


def _backbone(
    name: str,
    build: Callable[[], nn.Sequential],
    load: Callable[[Path], nn.Sequential],
    pool: Pool = pooled,
) -> Backbone:
    form = FORMS[name]
    return Backbone(
        name,
        form.feature_dim,
        form.preprocessing,
        form.has_weights,
        form.parameters,
        build=build,
        load=load,
        pool=pool,
    )


_Taken = Callable[[Any], nn.Sequential]  # a torchvision model to its blocks


def _of_torchvision(name: str, taken: _Taken, pool: Pool = pooled) -> Backbone:
    """A backbone by its name in torchvision's registry, from that library's state dicts."""

    def build() -> nn.Sequential:
        return taken(torchvision.models.get_model(name, weights=None))

    def load(weights: Path) -> nn.Sequential:
        model = torchvision.models.get_model(name, weights=None)
        model.load_state_dict(_read(weights), strict=True)
        return taken(model)

    return _backbone(name, build, load, pool)


def _features(model: Any) -> nn.Sequential:
    return cast("nn.Sequential", model.features)


def _resnet(model: Any) -> nn.Sequential:
    stem = nn.Sequential(model.conv1, model.bn1, model.relu, model.maxpool)
    return nn.Sequential(stem, model.layer1, model.layer2, model.layer3, model.layer4)


class _Patches(nn.Module):
    """A vision transformer's first step: patches, class token and positions."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.projection, self.dropout = model.conv_proj, model.encoder.dropout
        self.token, self.positions = model.class_token, model.encoder.pos_embedding

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """`(n, 3, size, size)` to `(n, 1 + patches, dim)`."""
        patches = self.projection(image).flatten(2).transpose(1, 2)
        token = self.token.expand(len(patches), -1, -1)
        found: torch.Tensor = self.dropout(torch.cat([token, patches], dim=1) + self.positions)
        return found


def _vit(model: Any) -> nn.Sequential:
    return nn.Sequential(_Patches(model), *model.encoder.layers, model.encoder.ln)


def class_token(states: torch.Tensor) -> torch.Tensor:
    """A vision transformer's summary: `(n, tokens, dim)` to `(n, dim)`."""
    return states[:, 0]


def _fcnn() -> nn.Sequential:
    """Two fully connected layers on small pictures: what anything else should beat."""
    return nn.Sequential(
        nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 512), nn.ReLU(inplace=True)),
        nn.Sequential(nn.Linear(512, 256), nn.ReLU(inplace=True), nn.Unflatten(1, (256, 1, 1))),
    )


def _cnn() -> nn.Sequential:
    """Five convolutions, halving the side four times; for small pictures and no weights."""
    widths = (32, 64, 128, 256, 256)
    blocks = [
        nn.Sequential(
            nn.Conv2d(before, after, 3, stride=1 if index == 0 else 2, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        )
        for index, (before, after) in enumerate(zip((3, *widths), widths, strict=False))
    ]
    return nn.Sequential(*blocks)


def _small(name: str, build: Callable[[], nn.Sequential]) -> Backbone:
    """A small network of our own, from its own state dict."""

    def load(weights: Path) -> nn.Sequential:
        blocks = build()
        blocks.load_state_dict(_read(weights), strict=True)
        return blocks

    return _backbone(name, build, load)


def _read(weights: Path) -> dict[str, torch.Tensor]:
    # weights_only: a pickle could run code.
    return cast(
        "dict[str, torch.Tensor]", torch.load(weights, map_location="cpu", weights_only=True)
    )


ZOO: Final[dict[str, Backbone]] = {
    backbone.name: backbone
    for backbone in (
        _small("fcnn", _fcnn),
        _small("cnn", _cnn),
        _of_torchvision("mobilenet_v2", _features),
        _of_torchvision("mobilenet_v3_small", _features),
        _of_torchvision("mobilenet_v3_large", _features),
        _of_torchvision("efficientnet_b0", _features),
        _of_torchvision("convnext_tiny", _features),
        _of_torchvision("resnet18", _resnet),
        _of_torchvision("resnet50", _resnet),
        _of_torchvision("vit_b_16", _vit, class_token),
        _backbone(
            "minilm_l6",
            text_backbone.random_minilm,
            text_backbone.load_encoder,
            text_backbone.mean_over_tokens,
        ),
    )
}
