"""Pretrained weights, and the ONNX encoder made from them once for every stack."""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from contracts import keys
from contracts.errors import ExemplarError, InvalidRequest, Unavailable
from contracts.hub_names import hub_id, is_hub_model
from contracts.manifest import Kind
from models.backbones import form_named
from models.hub_packs import pack_path
from models.sentence_encoders import SENTENCE_ENCODERS, pack, read_tokenizer
from tasks import storage
from tasks.settings import settings

_EXPORT_TIMEOUT_SECONDS = 300
_PACK_TIMEOUT_SECONDS = 900  # of a model of the hub: up to 1 GiB to fetch, to load and to export


@dataclass(frozen=True)
class Weights:
    """A state dict on disk and where it came from."""

    backbone: str
    path: Path
    source: str

    @property
    def digest(self) -> str:
        """The first 12 hex digits of the file's SHA-256."""
        with self.path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:12]

    @property
    def tokenizer(self) -> bytes | None:
        """Of an encoder of text."""
        is_text = form_named(self.backbone).kind is Kind.TEXT
        return read_tokenizer(self.path) if is_text else None


def find_weights(backbone: str) -> Weights | None:
    """Pretrained weights from the folder, the system's bucket or the hub, in this order.

    A sentence encoder may also come from an installed package. What did not come from the bucket
    is put there, so that the next machine finds it. None where no weights can be reached, or where
    none are published; of a model of the hub, which was asked for by its name, raises
    `ExemplarError` that says why.
    """
    if is_hub_model(backbone):
        return _hub_model(backbone)
    if not form_named(backbone).has_weights:
        return None
    filename = weights_file(backbone)
    cached = settings().cache_dir / "weights" / filename
    folder = settings().weights_dir
    if folder and (folder / filename).is_file():
        return _shared(Weights(backbone, folder / filename, "the weights folder"))
    if cached.is_file() or storage.fetch_file(keys.weights(filename), cached):
        return Weights(backbone, cached, "the system's bucket")
    if source := _packed(backbone, folder, cached):
        return _shared(Weights(backbone, cached, source))
    if _from_hub(backbone, cached):
        return _shared(Weights(backbone, cached, "the hub"))
    return None


def weights_file(backbone: str) -> str:
    """Name of a backbone's weights in the folder and in the bucket."""
    if is_hub_model(backbone):
        return pack_path(backbone).name
    return f"{backbone}_{'sentences.zip' if backbone in SENTENCE_ENCODERS else 'imagenet.pth'}"


def _shared(weights: Weights) -> Weights:
    key = keys.weights(weights_file(weights.backbone))
    if not storage.exists(key):
        storage.put_file(key, weights.path)
    return weights


def _packed(backbone: str, folder: Path | None, target: Path) -> str:
    """Pack a sentence encoder found on this machine; say where, or nothing."""
    encoder = SENTENCE_ENCODERS.get(backbone)
    if encoder is None:
        return ""
    unpacked = folder / encoder.folder_name if folder else None
    if unpacked and unpacked.is_dir():
        pack(encoder, unpacked, target)
        return "the weights folder"
    if packaged := encoder.packaged():
        pack(encoder, packaged, target)
        return f"the package {encoder.package}"
    return ""


def _hub_model(backbone: str) -> Weights:
    """A model of the hub, packed; its folder is named `name`, or `owner--name`."""
    cached, folder = pack_path(backbone), settings().weights_dir
    if cached.is_file():
        return _shared(Weights(backbone, cached, "this machine"))
    if folder and (folder / cached.name).is_file():
        with storage.replacing(cached) as partial:
            shutil.copyfile(folder / cached.name, partial)
        return _shared(Weights(backbone, cached, "the weights folder"))
    unpacked = folder / cached.stem if folder else None
    if unpacked and unpacked.is_dir():
        _pack(backbone, cached, ["--folder", str(unpacked)])
        return _shared(Weights(backbone, cached, "the weights folder"))
    if storage.fetch_file(keys.weights(cached.name), cached):
        return Weights(backbone, cached, "the system's bucket")
    _pack(backbone, cached, [])
    return _shared(Weights(backbone, cached, "the hub"))


def _pack(backbone: str, target: Path, options: list[str]) -> None:
    """As above, by a process of its own. Raises `ExemplarError` with what it says."""
    command = [sys.executable, "-m", "models.hub", backbone, str(target), *options]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PACK_TIMEOUT_SECONDS, check=False
        )
        if done.returncode == 0:
            return
        said = done.stderr.strip().rpartition("\n")[2][:300]
    except subprocess.TimeoutExpired:
        said = f"no answer within {_PACK_TIMEOUT_SECONDS} seconds"
    else:
        refusal = _refusal(done.stdout)
        if refusal:
            raise InvalidRequest(refusal["message"], fix=refusal["fix"])
    raise Unavailable(
        f"model {backbone!r} could not be reached (folder, bucket, hub): {said}",
        fix=f"put its files into a folder {target.stem!r} of the weights folder: "
        f"hf download {hub_id(backbone)} --local-dir {target.stem}",
    )


def _refusal(output: str) -> dict[str, str] | None:
    try:
        found: dict[str, str] = json.loads(output.strip().rpartition("\n")[2])["error"]
    except (ValueError, KeyError, TypeError):
        return None
    return found


def _from_hub(backbone: str, target: Path) -> bool:
    """Torch is not loaded here, so a process of its own asks the hub."""
    command = [sys.executable, "-m", "models.hub", backbone, str(target)]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=settings().hub_timeout_seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


@dataclass(frozen=True)
class Encoder:
    """A frozen feature extractor as an ONNX file; `encoder_id` names exactly its weights.

    One of sentences comes with its tokenizer.
    """

    encoder_id: str
    path: Path
    tokenizer: bytes | None = None


def find_encoder(backbone: str) -> Encoder | None:
    """The ONNX encoder of a backbone's pretrained weights; None where there are no weights.

    It is exported once per stack and machine image, by a process of its own that loads torch.
    """
    weights = find_weights(backbone)
    if weights is None:
        return None
    plain = re.sub("[^a-z0-9]+", "-", backbone.lower())[:48]
    encoder_id = f"{plain}-{weights.digest}"
    filename = f"{encoder_id}.onnx"
    path = settings().cache_dir / "weights" / filename
    if not path.is_file() and not storage.fetch_file(keys.weights(filename), path):
        _export(weights, path)
        storage.put_file(keys.weights(filename), path)
    return Encoder(encoder_id, path, weights.tokenizer)


def _export(weights: Weights, target: Path) -> None:
    with storage.replacing(target) as partial:
        command = [sys.executable, "-m", "models.export", "--backbone", weights.backbone]
        command += ["--weights", str(weights.path), "--output", str(partial)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_EXPORT_TIMEOUT_SECONDS, check=False
        )
        if done.returncode != 0:
            raise ExemplarError(
                f"the encoder of {weights.backbone} could not be exported: {done.stderr[-500:]}",
                fix="check the weights file, or remove it to train from scratch",
            )


if __name__ == "__main__":
    # So that the first job need not wait for it.
    parser = argparse.ArgumentParser(description="Put a backbone's encoder into the bucket.")
    parser.add_argument("backbone", nargs="?", default="mobilenet_v2")
    encoder = find_encoder(parser.parse_args().backbone)
    print(encoder.encoder_id if encoder else "none")
