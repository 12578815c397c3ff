"""Sentence encoders as blocks in order, so that they train, freeze and export as pictures' do."""

import json
import zipfile
from pathlib import Path
from typing import Any, Final

from models.sentence_encoders import CONFIG_FILE, TENSORS_FILE
from models.torchlibs import torch

nn = torch.nn

State = tuple[torch.Tensor, torch.Tensor]  # hidden (n, tokens, dim), is a token (n, tokens)


class TokenEmbeddings(nn.Module):
    """Token ids `(n, tokens)` int64 to `State`."""

    def __init__(self, embeddings: nn.Module, pad_id: int) -> None:
        super().__init__()
        self.embeddings, self.pad_id = embeddings, pad_id

    def forward(self, ids: torch.Tensor) -> State:
        hidden: torch.Tensor = self.embeddings(input_ids=ids)
        return hidden, ids != self.pad_id


class TransformerLayer(nn.Module):
    """One transformer layer, from `State` to `State`."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, state: State) -> State:
        hidden, is_token = state
        # Added to the attention's scores: what is no token gets none.
        lowest = torch.finfo(hidden.dtype).min
        mask = (1.0 - is_token[:, None, None, :].to(hidden.dtype)) * lowest
        found = self.layer(hidden, mask)  # some give it as the first of several
        return found[0] if isinstance(found, tuple) else found, is_token


def mean_over_tokens(state: State) -> torch.Tensor:
    """Mean of the tokens' vectors, of length 1: `(n, dim)`, as sentence-transformers pools."""
    hidden, is_token = state
    weights = is_token[:, :, None].to(hidden.dtype)
    mean = (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-9)
    return nn.functional.normalize(mean, dim=1)


def random_minilm() -> nn.Sequential:
    """MiniLM-L6's blocks with random weights, for a checkpoint's to be put into."""
    return _blocks(_bert(_MINILM))


def load_encoder(pack: Path) -> nn.Sequential:
    """Return the blocks of a pack. Raises `KeyError`, `ValueError` or `RuntimeError` for a bad one.

    Any encoder of BERT's form does: its sizes come from the pack.
    """
    from safetensors.torch import load

    with zipfile.ZipFile(pack) as archive:
        config = json.loads(archive.read(CONFIG_FILE))
        tensors = load(archive.read(TENSORS_FILE))
    if config["model_type"] != "bert":
        raise ValueError(f"an encoder of type {config['model_type']!r} cannot be loaded")
    model = _bert({name: config[name] for name in _MINILM})
    wanted = model.state_dict().keys()
    model.load_state_dict(
        {name: tensor for key, tensor in tensors.items() if (name := _plain(key)) in wanted},
        strict=True,
    )
    return _blocks(model)


# What decides BERT's form; the values are those of all-MiniLM-L6-v2.
_MINILM: Final[dict[str, Any]] = {
    "vocab_size": 30_522,
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1_536,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}


def _bert(form: dict[str, Any]) -> nn.Module:
    from transformers import BertConfig, BertModel

    config = BertConfig(**form)
    config._attn_implementation = "sdpa"
    model: nn.Module = BertModel(config, add_pooling_layer=False)
    return model


def _plain(key: str) -> str:
    return key.removeprefix("bert.")


def _blocks(model: Any) -> nn.Sequential:
    layers = [TransformerLayer(layer) for layer in model.encoder.layer]
    return nn.Sequential(TokenEmbeddings(model.embeddings, model.config.pad_token_id), *layers)
