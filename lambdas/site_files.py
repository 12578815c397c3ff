"""The page's files as browsers get them: listed once, read and squeezed when first asked for."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

WEB: Final = Path(__file__).parent.parent / "serving" / "web"

# A file of another kind is no part of the page.
TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".map": "application/json; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
_SQUEEZED_ALREADY: Final = frozenset({".png", ".webp", ".woff2"})
_TAG_CHARACTERS: Final = 32


def listed(folder: Path) -> dict[str, Path]:
    """The page's files by their name below `folder`, such as `vendor/lib.js`."""
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    return {name: path for name, path in found.items() if _is_served(name, path)}


def _is_served(name: str, path: Path) -> bool:
    is_hidden = any(part.startswith(".") for part in name.split("/"))
    return path.suffix in TYPES and not is_hidden and path.is_file() and not path.is_symlink()


@dataclass(frozen=True, slots=True)
class Representation:
    """One file in one encoding; `tag` is a strong ETag."""

    data: bytes
    tag: str
    content_type: str
    encoding: str = ""  # as the header Content-Encoding names it


class SiteFiles:
    """What is in the package and nothing else: a name is looked up, never made into a path."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files
        self._made: dict[tuple[str, bool], Representation] = {}

    def find(self, name: str, *, takes_gzip: bool) -> Representation | None:
        """The file in the encoding that suits; None where there is none."""
        path = self._files.get(name)
        if path is None:
            return None
        is_squeezed = takes_gzip and path.suffix not in _SQUEEZED_ALREADY
        key = name, is_squeezed
        if key not in self._made:
            self._made[key] = _represent(path, is_squeezed=is_squeezed)
        return self._made[key]


def _represent(path: Path, *, is_squeezed: bool) -> Representation:
    data, kind = path.read_bytes(), TYPES[path.suffix]
    digest = hashlib.sha256(data).hexdigest()[:_TAG_CHARACTERS]
    if is_squeezed and len(squeezed := gzip.compress(data, mtime=0)) < len(data):
        return Representation(squeezed, f'"{digest}-gzip"', kind, "gzip")
    return Representation(data, f'"{digest}"', kind)
