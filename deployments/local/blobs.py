"""Large byte strings of the emulator's state, each in a file of its own named by its content."""

import base64
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

MIN_BYTES = 4096  # smaller ones stay inside the state file
_TAG = "__blob__"
_REFERENCE = re.compile(rb'"__blob__": ?"([0-9a-f]{64})"')


class Blobs:
    """Function code and layers are tens of megabytes: state files only name them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._restored: dict[str, bytes] = {}

    def store(self, content: bytes) -> str:
        """Write `content` unless it is there; returns its SHA-256."""
        for name, restored in self._restored.items():
            if restored is content:
                return name
        name = hashlib.sha256(content).hexdigest()
        path = self._folder / name
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            partial.write_bytes(content)
            partial.replace(path)
        return name

    def restore(self, value: dict[str, Any]) -> Any:
        """The bytes that a state file's `value` names; any other dict is returned as it is."""
        if value.keys() != {_TAG}:
            return value
        name = str(value[_TAG])
        if name not in self._restored:  # a function and its versions share one copy in memory
            self._restored[name] = (self._folder / name).read_bytes()
        return self._restored[name]

    def forget_restored(self) -> None:
        """Keep no content alive any longer; for when it has been saved once more."""
        self._restored.clear()

    def prune(self, state_files: list[Path]) -> None:
        """Remove what no state file names. Only safe while nothing is being saved."""
        kept = {
            name.decode() for path in state_files for name in _REFERENCE.findall(path.read_bytes())
        }
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.name not in kept:
                    path.unlink()


class BlobEncoder:
    """JSON encoding of one service's state. Names are remembered: hashing 59 MB takes a while."""

    def __init__(self, blobs: Blobs, fallback: Callable[[Any], Any]) -> None:
        self._blobs = blobs
        self._fallback = fallback
        self._known: dict[int, tuple[bytes, str]] = {}
        self._used: dict[int, tuple[bytes, str]] = {}

    def default(self, value: Any) -> Any:
        """For `json.dumps`."""
        if not isinstance(value, (bytes, bytearray)):
            return self._fallback(value)
        if len(value) < MIN_BYTES:
            return {"__bytes__": base64.b64encode(value).decode("ascii")}
        if isinstance(value, bytearray):
            return {_TAG: self._blobs.store(bytes(value))}
        # Keeping the object beside its name keeps its id from being given to another.
        known = self._known.get(id(value)) or (value, self._blobs.store(value))
        self._used[id(value)] = known
        return {_TAG: known[1]}

    def forget_unused(self) -> None:
        """Let go of what the latest encoding did not meet."""
        self._known, self._used = self._used, {}
