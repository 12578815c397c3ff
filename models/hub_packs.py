"""A model of the hub as one file: its weights, its tokenizer, and what was found out about it.

Whoever packs it looks at it with torch once; everybody else reads `pack.json`. Torch is not loaded
here.
"""

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from contracts.bundle import TOKENIZER_FILE, Preprocessing, TextPreprocessing
from contracts.errors import InvalidRequest
from contracts.hub_names import file_stem
from models.backbones import Form
from models.sentence_encoders import CONFIG_FILE, TENSORS_FILE

PACK_FILE: Final = "pack.json"
PROCESSOR_FILE: Final = "preprocessor_config.json"
# All that is ever fetched of a model: no code, and no pickled weights.
HUB_FILES: Final = (CONFIG_FILE, TENSORS_FILE, TOKENIZER_FILE, PROCESSOR_FILE)
SCHEMA_VERSION: Final = 1
MOST_BYTES: Final = 1024**3  # of a model's weights
FITTING: Final = (
    "use an image classifier such as hf:google/vit-base-patch16-224 or hf:microsoft/resnet-50, "
    "or a text encoder such as hf:distilbert/distilbert-base-uncased"
)


@dataclass(frozen=True, slots=True)
class Pack:
    """What is known of a packed model."""

    hub_id: str
    revision: str  # the hub's commit; empty for one from a folder
    feature_dim: int
    pool: str  # of its last block's output; a key of models.hub_blocks.POOLS
    has_layers: bool  # they are blocks of their own; else the whole model is the only block
    end: str  # what follows them, by its name in the model; empty for nothing
    flips_channels: bool  # it was trained on BGR
    preprocessing: Preprocessing | TextPreprocessing

    def to_json(self) -> bytes:
        """Stored form."""
        document = {"schema_version": SCHEMA_VERSION, "kind": self.form("").kind} | asdict(self)
        return json.dumps(document, sort_keys=True).encode()

    @classmethod
    def read(cls, path: Path) -> "Pack":
        """Raises `InvalidRequest` for a file that is no pack, `OSError` for none."""
        try:
            with zipfile.ZipFile(path) as archive:
                document: dict[str, Any] = json.loads(archive.read(PACK_FILE))
            if document.pop("schema_version") != SCHEMA_VERSION:
                raise ValueError("another schema")
            values = document.pop("preprocessing")
            if document.pop("kind") == "text":
                return cls(preprocessing=TextPreprocessing(**values), **document)
            values |= {name: tuple(values[name]) for name in ("mean", "std")}
            return cls(preprocessing=Preprocessing(**values), **document)
        except (KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise InvalidRequest(
                f"{path.name!r} is no packed model: {error}",
                fix="remove it, so that the model is packed again",
            ) from error

    def form(self, name: str) -> Form:
        """As a backbone called `name`."""
        return Form(name, self.feature_dim, self.preprocessing)


def pack_path(model: str) -> Path:
    """Where this machine keeps a packed model. Processes of one machine agree by the variable."""
    cache = os.environ.get("EXEMPLAR_CACHE_DIR") or Path.home() / ".cache" / "exemplar"
    return Path(cache) / "weights" / f"{file_stem(model)}.zip"


def pack_of(model: str) -> Pack:
    """A model's pack. Raises `InvalidRequest` where it has not been fetched."""
    try:
        return Pack.read(pack_path(model))
    except OSError as error:
        raise InvalidRequest(
            f"model {model!r} has not been fetched to this machine",
            fix="start a training with it, which fetches it",
        ) from error


def weight_bytes(model: str) -> int:
    """Size of a packed model's weights. Raises `InvalidRequest` where it has not been fetched."""
    pack_of(model)
    with zipfile.ZipFile(pack_path(model)) as archive:
        return archive.getinfo(TENSORS_FILE).file_size


def check_files(hub_id: str, sizes: Mapping[str, int]) -> None:
    """Raise `InvalidRequest` unless a model's files, by their sizes in bytes, are those needed."""
    if CONFIG_FILE not in sizes:
        raise unfit(hub_id, f"it has no {CONFIG_FILE}")
    if TENSORS_FILE not in sizes:
        raise unfit(
            hub_id,
            f"it has no {TENSORS_FILE} in one piece",
            f"pickled weights are never loaded: save it with save_pretrained; or {FITTING}",
        )
    if sizes[TENSORS_FILE] > MOST_BYTES:
        raise unfit(
            hub_id,
            f"its weights have {sizes[TENSORS_FILE] / 2**20:,.0f} MiB, at most "
            f"{MOST_BYTES / 2**20:,.0f} are taken",
        )


def unfit(hub_id: str, reason: str, fix: str = FITTING) -> InvalidRequest:
    """Say why a model is no backbone, and what would be."""
    return InvalidRequest(f"model {'hf:' + hub_id!r} cannot be used: {reason}", fix=fix)
