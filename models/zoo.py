"""Backbones as data, and the classifier that every one of them becomes part of."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, cast
from zipfile import BadZipFile

from contracts.bundle import Preprocessing, TextPreprocessing
from contracts.errors import InvalidRequest
from contracts.manifest import Kind
from models import text_backbone
from models.torchlibs import torch, torchvision

nn = torch.nn
fuse_conv_bn_eval = torch.nn.utils.fusion.fuse_conv_bn_eval


Pool = Callable[[Any], torch.Tensor]


def pooled(maps: torch.Tensor) -> torch.Tensor:
    """Mean over the picture: `(n, feature_dim, h, w)` to `(n, feature_dim)`."""
    return maps.mean(dim=(2, 3))


@dataclass(frozen=True, slots=True)
class Backbone:
    """A feature extractor: blocks in order, and a pool that makes features `(n, feature_dim)`.

    `build` makes the blocks with random weights; `load` makes them from a file of weights.
    """

    name: str
    feature_dim: int
    preprocessing: Preprocessing | TextPreprocessing
    build: Callable[[], nn.Sequential]
    load: Callable[[Path], nn.Sequential]
    pool: Pool = pooled

    @property
    def kind(self) -> Kind:
        """What it reads."""
        return Kind.TEXT if isinstance(self.preprocessing, TextPreprocessing) else Kind.IMAGE


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
    if name not in ZOO:
        raise InvalidRequest(
            f"backbone {name!r} is unknown", fix=f"use one of: {', '.join(sorted(ZOO))}"
        )
    return ZOO[name]


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


def _mobilenet_v2() -> nn.Sequential:
    return cast("nn.Sequential", torchvision.models.mobilenet_v2().features)


def _load_mobilenet_v2(weights: Path) -> nn.Sequential:
    model = torchvision.models.mobilenet_v2()
    model.load_state_dict(_read(weights), strict=True)
    return cast("nn.Sequential", model.features)


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


def _load_cnn(weights: Path) -> nn.Sequential:
    blocks = _cnn()
    blocks.load_state_dict(_read(weights), strict=True)
    return blocks


def _read(weights: Path) -> dict[str, torch.Tensor]:
    # weights_only: a pickle could run code.
    return cast(
        "dict[str, torch.Tensor]", torch.load(weights, map_location="cpu", weights_only=True)
    )


ZOO: Final[dict[str, Backbone]] = {
    backbone.name: backbone
    for backbone in (
        Backbone("mobilenet_v2", 1280, Preprocessing(), _mobilenet_v2, _load_mobilenet_v2),
        Backbone(
            "cnn",
            256,
            Preprocessing(size=64, resize=64, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
            _cnn,
            _load_cnn,
        ),
        Backbone(
            "minilm_l6",
            384,
            TextPreprocessing(),
            text_backbone.random_minilm,
            text_backbone.load_encoder,
            text_backbone.mean_over_tokens,
        ),
    )
}
