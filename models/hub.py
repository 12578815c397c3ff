"""Pretrained weights from the hubs: `python -m models.hub mobilenet_v2 TARGET`.

A program of its own, so that callers need not load torch and can bound how long it takes.
"""

import argparse
from pathlib import Path

from huggingface_hub import snapshot_download

from models.sentence_encoders import PACKED_FILES, SENTENCE_ENCODERS, pack
from models.torchlibs import torch, torchvision


def download(backbone: str, target: Path) -> None:
    """Write torchvision's best ImageNet state dict, or a packed sentence encoder, to `target`.

    It is there whole or not at all. Raises `OSError` when the hub cannot be reached, `ValueError`
    for an unknown backbone.
    """
    if encoder := SENTENCE_ENCODERS.get(backbone):
        folder = snapshot_download(encoder.hub_id, allow_patterns=list(PACKED_FILES))
        pack(encoder, Path(folder), target)
        return
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
