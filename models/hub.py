"""Pretrained weights from the torchvision hub: `python -m models.hub mobilenet_v2 TARGET`.

A program of its own, so that callers need not load torch and can bound how long it takes.
"""

import argparse
from pathlib import Path

from models.torchlibs import torch, torchvision


def download(backbone: str, target: Path) -> None:
    """Write the hub's best ImageNet state dict to `target`, whole or not at all.

    Raises `URLError` when the hub cannot be reached, `ValueError` for an unknown backbone.
    """
    weights = torchvision.models.get_model_weights(backbone).DEFAULT
    state_dict = weights.get_state_dict(progress=False, check_hash=True)
    partial = target.with_suffix(".download")
    target.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state_dict, partial)
    partial.replace(target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backbone", help="a name of torchvision's registry, e.g. mobilenet_v2")
    parser.add_argument("target", type=Path, help="file to write, e.g. mobilenet_v2.pth")
    arguments = parser.parse_args()
    download(arguments.backbone, arguments.target)
