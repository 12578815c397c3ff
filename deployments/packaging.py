"""The zips that the stack runs: the control functions and the layer of the inference functions."""

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Final

from contracts.archive import write_zip
from contracts.errors import ExemplarError, InvalidRequest, Unavailable
from lambdas import site_files

ROOT: Final = Path(__file__).resolve().parent.parent
CONTROL_PACKAGES: Final = ("contracts", "lambdas", "serving")
CONTROL_LIBRARIES: Final = ("aws-lambda-powertools", "jmespath", "typing_extensions")
# The page changes more often than the calls, and nothing that these need should delay it.
SITE_MODULES: Final = (
    "contracts/__init__.py",
    "contracts/errors.py",
    "contracts/http_event.py",
    "lambdas/__init__.py",
    "lambdas/site.py",
    "lambdas/site_files.py",
)
# ONNX Runtime lists flatbuffers, packaging and protobuf too; running a session imports none.
# Nor does a tokenizer read from bytes need huggingface-hub, which tokenizers lists.
LAYER_LIBRARIES: Final = ("numpy", "onnxruntime", "pillow", "tokenizers")

# Lambda's python3.12 and later run on Amazon Linux 2023, whose glibc is 2.34.
_LAMBDA_PLATFORMS: Final = (
    "manylinux_2_28_x86_64",
    "manylinux_2_27_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
)

_DROPPED_FOLDERS: Final = ("tests", "__pycache__", "_pyinstaller", "include", "bin")
_DROPPED_SUFFIXES: Final = (".a", ".h", ".pxd", ".pyc", ".pyi")
_DROPPED_PREFIXES: Final = (
    "numpy/distutils/",
    "numpy/f2py/",
    "onnxruntime/quantization/",
    "onnxruntime/tools/",
    "onnxruntime/transformers/",
)
_FORMAT: Final = 1  # raise it when the same inputs shall give another zip


class Platform(StrEnum):
    """Where the zips will run."""

    LOCAL = "local"  # this interpreter: copies of the installed packages, no network needed
    LAMBDA = "lambda-x86_64"  # wheels from the package index, whatever machine builds them


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip and its SHA-256."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds zips for one interpreter; finished ones are kept in `cache` by their inputs.

    Raises `InvalidRequest` for a local build for another Python than the running one.
    """

    cache: Path
    platform: Platform = Platform.LOCAL
    python_version: str = f"{sys.version_info.major}.{sys.version_info.minor}"

    def __post_init__(self) -> None:
        running = f"{sys.version_info.major}.{sys.version_info.minor}"
        if self.platform is Platform.LOCAL and self.python_version != running:
            raise InvalidRequest(
                f"a local build is for the running Python {running}, not {self.python_version}",
                fix=f"use python_version='{running}', or the platform '{Platform.LAMBDA}'",
            )

    def control_zip(self) -> Archive:
        """Our sources and the routing library; boto3 comes with the Lambda runtime."""
        return self._build("control", CONTROL_LIBRARIES, "", dict(_sources()))

    def site_zip(self) -> Archive:
        """The page's files and the little that serves them."""
        return self._build("site", (), "", dict(_site()))

    def inference_layer(self) -> Archive:
        """What pictures and texts are answered with, shared by every inference function."""
        return self._build("layer", LAYER_LIBRARIES, "python/", {})

    def _build(
        self,
        kind: str,
        libraries: tuple[str, ...],
        prefix: str,
        sources: dict[str, bytes],
    ) -> Archive:
        pins = [_pin(library) for library in libraries]
        inputs = [[name, hashlib.sha256(data).hexdigest()] for name, data in sources.items()]
        key = _digest([_FORMAT, self.platform, self.python_version, pins, inputs])
        if found := self._cached(kind, key):
            return found
        with tempfile.TemporaryDirectory(prefix="exemplar-build-") as folder:
            vendored = self._vendor(pins, Path(folder)) if pins else {}
            entries = {prefix + name: path for name, path in vendored.items() if _is_needed(name)}
            part = self.cache / f"building-{key}-{Path(folder).name}"
            digest = write_zip([*sources.items(), *entries.items()], part)
        return Archive(part.replace(self.cache / f"{kind}-{key}-{digest}.zip"), digest)

    def _cached(self, kind: str, key: str) -> Archive | None:
        """A finished zip carries its hash in its name, so that 50 MB need not be read again."""
        for path in sorted(self.cache.glob(f"{kind}-{key}-*.zip")):
            return Archive(path, path.stem.rpartition("-")[2])
        return None

    def _vendor(self, pins: list[str], folder: Path) -> dict[str, Path]:
        """Files of the pinned packages by their name below `site-packages`."""
        if self.platform is Platform.LOCAL:
            return dict(file for pin in pins for file in _installed(pin.partition("==")[0]))
        _download(pins, self.python_version, folder)
        return {
            path.relative_to(folder).as_posix(): path
            for path in folder.rglob("*")
            if path.is_file()
        }


def _sources() -> Iterator[tuple[str, bytes]]:
    for package in CONTROL_PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith("serving/web/"):
                yield name, path.read_bytes()


def _site() -> Iterator[tuple[str, bytes]]:
    for name in SITE_MODULES:
        yield name, (ROOT / name).read_bytes()
    for path in site_files.listed(site_files.WEB).values():
        yield path.relative_to(ROOT).as_posix(), path.read_bytes()


def _pin(library: str) -> str:
    """`name==version` as installed here: what was tested is what is served."""
    try:
        return f"{library}=={metadata.version(library)}"
    except metadata.PackageNotFoundError as error:
        raise ExemplarError(
            f"the package {library} is not installed, so its version is unknown",
            fix=f"pip install {library}",
        ) from error


def _installed(library: str) -> Iterator[tuple[str, Path]]:
    files = metadata.files(library)
    if not files:
        raise ExemplarError(
            f"the installed package {library} lists no files, so it cannot be packed",
            fix=f"install it with pip: pip install --force-reinstall {library}",
        )
    for file in files:
        path = Path(str(file.locate()))
        if ".." not in file.parts and path.is_file():  # scripts lie outside of site-packages
            yield file.as_posix(), path


def _download(pins: list[str], python_version: str, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--target", str(folder), "--no-deps", "--only-binary=:all:", "--no-compile"]
    command += ["--python-version", python_version, "--implementation", "cp"]
    for platform in _LAMBDA_PLATFORMS:
        command += ["--platform", platform]
    done = subprocess.run([*command, *pins], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(
            f"the packages for Python {python_version} on Lambda could not be fetched: "
            f"{done.stderr.strip()[-600:]}",
            fix="check the network, and that `python -m pip --version` works",
        )


def _is_needed(name: str) -> bool:
    """Tests, headers, stubs and training tools stay out; licences stay in."""
    path = PurePosixPath(name)
    if path.suffix in _DROPPED_SUFFIXES or name.startswith(_DROPPED_PREFIXES):
        return False
    if path.parts[0].endswith(".dist-info"):
        return "licenses" in path.parts or path.name.upper().startswith(("LICENSE", "METADATA"))
    return not set(path.parts[:-1]) & set(_DROPPED_FOLDERS)


def _digest(inputs: object) -> str:
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:16]
