"""Pretrained weights from the hubs: `python -m models.hub mobilenet_v2 TARGET`.

A program of its own, so that callers need not load torch and can bound how long it takes. What is
wrong with a model it says as JSON, with status 1.
"""

import argparse
import json
import sys
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

from contracts.errors import ExemplarError, NotFound
from contracts.hub_names import hub_id, is_hub_model
from models.hub_packs import HUB_FILES, check_files
from models.sentence_encoders import PACKED_FILES, SENTENCE_ENCODERS, pack


def download(backbone: str, target: Path) -> None:
    """Write torchvision's best ImageNet state dict, or a packed model of the hub, to `target`.

    It is there whole or not at all. Raises `OSError` when the hub cannot be reached, `ValueError`
    for an unknown backbone, and `InvalidRequest` for a model that cannot be one.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if is_hub_model(backbone):
        _download_model(hub_id(backbone), target)
        return
    if encoder := SENTENCE_ENCODERS.get(backbone):
        folder = snapshot_download(encoder.hub_id, allow_patterns=list(PACKED_FILES))
        pack(encoder, Path(folder), target)
        return
    from models.torchlibs import torch, torchvision  # 1.6 s, which no refusal needs

    weights = torchvision.models.get_model_weights(backbone).DEFAULT
    state_dict = weights.get_state_dict(progress=False, check_hash=True)
    partial = target.with_suffix(".download")
    torch.save(state_dict, partial)
    partial.replace(target)


def _download_model(name: str, target: Path) -> None:
    """One commit of a model, by the names of the few files that are needed."""
    try:
        info = HfApi().model_info(name, files_metadata=True)
    except (RepositoryNotFoundError, GatedRepoError) as error:
        raise NotFound(
            f"model {'hf:' + name!r} is not on the hub, or not for everybody",
            fix="look at its name; for a model of your own set HF_TOKEN where the flows run",
        ) from error
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    check_files(name, sizes)
    folder = snapshot_download(name, revision=info.sha, allow_patterns=list(HUB_FILES))
    pack_folder(name, info.sha or "", Path(folder), target)


def pack_folder(name: str, revision: str, folder: Path, target: Path) -> None:
    """Pack the model that lies in a folder. Raises `InvalidRequest` as `download` does."""
    check_files(name, {file.name: file.stat().st_size for file in folder.iterdir()})
    from models.hub_packing import pack_model  # as above

    pack_model(name, revision, folder, target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backbone", help="a name of torchvision's registry, or hf:owner/name")
    parser.add_argument("target", type=Path, help="file to write, e.g. mobilenet_v2.pth")
    parser.add_argument("--folder", type=Path, help="pack the model of the hub that lies here")
    arguments = parser.parse_args()
    try:
        if arguments.folder:
            pack_folder(hub_id(arguments.backbone), "", arguments.folder, arguments.target)
        else:
            download(arguments.backbone, arguments.target)
    except ExemplarError as refusal:
        print(json.dumps(refusal.as_dict()))
        sys.exit(1)
