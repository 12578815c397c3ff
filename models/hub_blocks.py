"""Models of the hub as blocks in order, so that they train, freeze and export like the others.

Only classes that the transformers library itself has are used, never a model's own code, and only
safetensors, never pickled weights.
"""

import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from contracts.bundle import TextPreprocessing
from models.hub_packs import HUB_FILES, Pack
from models.sentence_encoders import TENSORS_FILE
from models.text_backbone import State, TokenEmbeddings, TransformerLayer, mean_over_tokens
from models.torchlibs import torch

nn = torch.nn

# What the library calls a model's first step, its layers, and what comes after them.
_FIRST: Final = ("embeddings", "embedder", "conv_stem")
_LAYERS: Final = (
    *("layers", "encoder.layers", "encoder.layer", "encoder.stages"),
    "transformer.layer",
)
ENDS: Final = ("layernorm", "norm", "conv_1x1_exp", "")  # empty: nothing

# Of the last block's output, to `(n, feature_dim)`.
POOLS: Final[dict[str, Callable[[Any], torch.Tensor]]] = {
    "maps": lambda maps: maps.mean(dim=(2, 3)),  # (n, dim, h, w)
    "class token": lambda states: states[:, 0],  # (n, tokens, dim)
    "mean of patches": lambda states: states.mean(dim=1),
    "mean of tokens": mean_over_tokens,
}


class _Step(nn.Module):
    """A layer by itself; some give their output as the first of several."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        found = self.layer(hidden)
        result: torch.Tensor = found[0] if isinstance(found, tuple) else found
        return result


class _Flip(nn.Module):
    """RGB to BGR."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.flip(1)


class _WholePicture(nn.Module):
    """A model whose layers cannot be taken apart."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = self.model(pixel_values=image).last_hidden_state
        return states


class _WholeText(nn.Module):
    """As above, from token ids to `State`."""

    def __init__(self, model: nn.Module, pad_id: int) -> None:
        super().__init__()
        self.model, self.pad_id = model, pad_id

    def forward(self, ids: torch.Tensor) -> State:
        is_token = ids != self.pad_id
        states = self.model(input_ids=ids, attention_mask=is_token.long()).last_hidden_state
        return states, is_token


def random_blocks(path: Path) -> nn.Sequential:
    """A packed model's blocks with random weights, for a checkpoint's to be put into."""
    from transformers import AutoConfig, AutoModel

    with _unpacked(path, without_tensors=True) as folder:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    model = AutoModel.from_config(config, trust_remote_code=False)  # type: ignore[no-untyped-call]
    return blocks_of(model, Pack.read(path))


def load_blocks(path: Path) -> nn.Sequential:
    """A packed model's blocks with its weights. Raises `ValueError` where some are missing."""
    with _unpacked(path) as folder:
        return blocks_of(load_model(Path(folder)), Pack.read(path))


def load_model(folder: Path) -> nn.Module:
    """The model without its head. Raises `ValueError` or `OSError` for one that cannot be loaded.

    A pooling layer may lack weights: it is not used.
    """
    from transformers import AutoModel

    model, report = AutoModel.from_pretrained(
        folder,
        trust_remote_code=False,
        local_files_only=True,
        use_safetensors=True,
        dtype=torch.float32,
        output_loading_info=True,
    )
    missing = [key for key in report["missing_keys"] if not key.startswith("pooler.")]
    if missing or report["mismatched_keys"]:
        raise ValueError(f"weights are missing or do not fit: {str(missing)[:200]}")
    loaded: nn.Module = model
    return loaded


def blocks_of(model: Any, pack: Pack) -> nn.Sequential:
    """Take a model apart as its pack says it can be."""
    model = model.float()
    if isinstance(pack.preprocessing, TextPreprocessing):
        pad_id = pack.preprocessing.pad_id
        if not pack.has_layers:
            return nn.Sequential(_WholeText(model, pad_id))
        first, layers = _parts_of(model)
        return nn.Sequential(TokenEmbeddings(first, pad_id), *map(TransformerLayer, layers))
    if pack.has_layers:
        first, layers = _parts_of(model)
        end = [model.get_submodule(pack.end)] if pack.end else []
        blocks = [_Step(first), *map(_Step, layers), *end]
    else:
        blocks = [_WholePicture(model)]
    if pack.flips_channels:
        blocks[0] = nn.Sequential(_Flip(), blocks[0])
    return nn.Sequential(*blocks)


def _parts_of(model: nn.Module) -> tuple[nn.Module, list[nn.Module]]:
    """First step and layers. Raises `ValueError` where they are not found."""
    named = dict(model.named_modules())
    first = [named[name] for name in _FIRST if name in named]
    layers = [named[name] for name in _LAYERS if name in named]
    if len(first) != 1 or len(layers) != 1:
        raise ValueError("its layers are not where they are looked for")
    return first[0], list(layers[0].children())


def _unpacked(path: Path, *, without_tensors: bool = False) -> "tempfile.TemporaryDirectory[str]":
    """The library reads folders only."""
    folder = tempfile.TemporaryDirectory(prefix="exemplar-model-")
    with zipfile.ZipFile(path) as archive:
        for name in set(HUB_FILES) & set(archive.namelist()):
            if not (without_tensors and name == TENSORS_FILE):
                archive.extract(name, folder.name)
    return folder
