"""Weights between a model and its fine-tuned self.

On the straight line between the two there is often a model better than either: it keeps what
pretraining knew and what fine-tuning learned (WiSE-FT, Wortsman et al. 2022).
"""

from typing import Final

from models.torchlibs import torch

SHARES: Final = (0.5, 0.75)  # of the fine-tuned weights; a quarter was worse on all sets

Weights = dict[str, torch.Tensor]


def interpolated(start: Weights, end: Weights, share: float) -> Weights:
    """Return `start` for 0 and `end` for 1; counters and other integers are `end`'s."""
    return {
        name: torch.lerp(start[name], value, share) if value.is_floating_point() else value
        for name, value in end.items()
    }
