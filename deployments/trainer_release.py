"""What training machines install: the project's wheel, its constraints and the set-up script."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from contracts import keys
from contracts.errors import ExemplarError
from deployments.code_bucket import CodeBucket
from deployments.packaging import ROOT

SETUP: Final = ROOT / "deployments" / "trainer" / "setup.sh"
# Where setup.sh puts things.
MACHINE_PYTHON: Final = "/opt/exemplar/venv/bin/python"
MACHINE_SOURCE: Final = "/opt/exemplar/source"
SUMS: Final = "SHA256SUMS"
_SOURCES: Final = ("pyproject.toml", "README.md", "LICENSE")
_EPOCH: Final = "315532800"  # 1980, the oldest date a zip holds: equal sources, equal wheel


def build_wheel(folder: Path) -> Path:
    """Build the wheel into `folder` and return it; the source tree stays clean.

    Raises `ExemplarError` with what pip said.
    """
    with tempfile.TemporaryDirectory(prefix="exemplar-wheel-") as copy:
        source = Path(copy) / "source"
        _copy_sources(source)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"SOURCE_DATE_EPOCH": _EPOCH},
        )
    if done.returncode:
        raise ExemplarError(
            f"the wheel could not be built: {done.stderr.strip()[-600:]}",
            fix="pip install 'setuptools>=77', then deploy again",
        )
    (wheel,) = folder.glob("exemplar-*.whl")
    return wheel


def upload_release(code: CodeBucket) -> str:
    """Store a release under the hash of its list of hashes; return `s3://BUCKET/trainer/{hash}`.

    The list comes last: a release that has it is whole.
    """
    with tempfile.TemporaryDirectory(prefix="exemplar-release-") as folder:
        files = [build_wheel(Path(folder)), ROOT / "constraints.txt", SETUP]
        sums = Path(folder) / SUMS
        sums.write_text(
            "".join(
                f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files
            )
        )
        release = hashlib.sha256(sums.read_bytes()).hexdigest()
        for file in [*files, sums]:
            code.upload_file(keys.trainer(release, file.name), file)
    return f"s3://{code.name}/trainer/{release}"


def _copy_sources(target: Path) -> None:
    target.mkdir()
    for name in _SOURCES:
        shutil.copyfile(ROOT / name, target / name)
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for package in sorted(path.parent for path in ROOT.glob("*/__init__.py")):
        if package.name not in {"tests", "benchmarks"}:
            shutil.copytree(package, target / package.name, ignore=ignored)
