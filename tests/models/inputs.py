"""Made-up input for any backbone of the zoo."""

import pytest

from contracts.bundle import TextPreprocessing
from models.torchlibs import torch
from models.zoo import ZOO, Backbone

_LARGE = ("resnet50", "convnext_tiny", "vit_b_16")  # seconds each, and like the others

# For parametrising: all backbones, the large ones in the long tests.
BACKBONES = [pytest.param(name, marks=pytest.mark.soak) if name in _LARGE else name for name in ZOO]


def inputs_of(backbone: Backbone, count: int) -> torch.Tensor:
    """Noise as pictures, or texts of different lengths as padded tokens."""
    preprocessing = backbone.preprocessing
    if not isinstance(preprocessing, TextPreprocessing):
        return torch.randn(count, 3, preprocessing.size, preprocessing.size)
    tokens = torch.randint(1_000, 20_000, (count, 12))
    for row in range(1, count):
        tokens[row, 12 - row :] = preprocessing.pad_id
    return tokens
