"""Unpacked function code and layers: one read-only folder per content, shared by all sandboxes."""

import hashlib
import io
import shutil
import threading
import zipfile
from collections import Counter
from pathlib import Path
from uuid import uuid4


class CodeTrees:
    """Unpacks a zip when its first user comes and removes the folder when the last one leaves."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._users: Counter[Path] = Counter()
        # By identity, with the archive kept alive: hashing a large layer takes half a second.
        self._names: dict[int, tuple[bytes, Path]] = {}
        self._lock = threading.Lock()

    def lease(self, archive: bytes) -> Path:
        """Folder with the archive's content; give it back with `release`."""
        with self._lock:
            if id(archive) not in self._names:
                tree = self._folder / hashlib.sha256(archive).hexdigest()
                if not tree.exists():
                    self._unpack(archive, tree)
                self._names[id(archive)] = (archive, tree)
            tree = self._names[id(archive)][1]
            self._users[tree] += 1
        return tree

    def release(self, tree: Path) -> None:
        """One user less."""
        with self._lock:
            self._users[tree] -= 1
            if self._users[tree] > 0:
                return
            del self._users[tree]
            self._names = {key: named for key, named in self._names.items() if named[1] != tree}
            remove_tree(tree)

    def _unpack(self, archive: bytes, tree: Path) -> None:
        partial = self._folder / f"partial-{uuid4().hex}"
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            for entry in opened.infolist():
                path = Path(opened.extract(entry, partial))  # drops '..' and absolute parts
                # AWS keeps the permissions stored in the zip, so does this: scripts stay runnable.
                if not entry.is_dir() and (mode := entry.external_attr >> 16 & 0o777):
                    path.chmod(mode | 0o400)
        partial.mkdir(parents=True, exist_ok=True)  # an empty archive is allowed
        _protect(partial)
        partial.rename(tree)


def _protect(tree: Path) -> None:
    """As AWS does: nothing can be added but compiled modules, without which starts are slow."""
    for folder in [*(path for path in tree.rglob("*") if path.is_dir()), tree]:
        if folder.name == "__pycache__":
            continue
        (folder / "__pycache__").mkdir(exist_ok=True)
        folder.chmod(0o555)
        (folder / "__pycache__").chmod(0o755)


def remove_tree(tree: Path) -> None:
    """Remove a folder even if its subfolders are read-only; none is fine too."""
    if not tree.exists():
        return
    tree.chmod(0o755)
    for path in tree.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(tree, ignore_errors=True)
