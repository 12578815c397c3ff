"""The libraries that AWS's Python runtime brings along: boto3 and what it needs, nothing else."""

import shutil
from importlib.metadata import distribution
from pathlib import Path

DISTRIBUTIONS = ("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3")


def provide(folder: Path) -> Path:
    """Fill `folder` with links to the installed packages and return it."""
    folder.mkdir(parents=True)
    for name in DISTRIBUTIONS:
        for source in _top_level(name):
            _link(source, folder / source.name)
    return folder


def _top_level(name: str) -> set[Path]:
    """The importable files and folders that a distribution installed."""
    installed = distribution(name)
    tops = {file.parts[0] for file in installed.files or [] if file.suffix == ".py"}
    paths = {Path(str(installed.locate_file(top))) for top in tops}
    return {path for path in paths if path.suffix == ".py" or (path / "__init__.py").exists()}


def _link(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source.resolve())
    except OSError:  # no right to make links, as on Windows
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
