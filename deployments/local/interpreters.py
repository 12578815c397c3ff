"""Which Python on this machine runs a Lambda runtime such as `python3.12`."""

import logging
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

_logger = logging.getLogger(__name__)


@cache
def interpreter_for(runtime: str) -> Path:
    """The runtime's own version if this machine has one that runs, else the current one's base."""
    base = Path(getattr(sys, "_base_executable", sys.executable))
    if runtime == f"python{sys.version_info.major}.{sys.version_info.minor}":
        return base
    found = shutil.which(runtime)
    if found and (interpreter := _resolve(found, runtime)):
        return interpreter
    _logger.warning(
        "no working %s on this machine: its functions run on Python %s instead; "
        "install %s and restart to run them as AWS does",
        runtime,
        sys.version.split()[0],
        runtime,
    )
    return base


def _resolve(command: str, runtime: str) -> Path | None:
    """Run it: a version manager's shim exists for versions that are not installed or not chosen."""
    program = (
        "import sys; "
        "print('python%d.%d' % sys.version_info[:2]); "
        "print(getattr(sys, '_base_executable', sys.executable))"
    )
    try:
        run = subprocess.run(
            [command, "-I", "-S", "-c", program],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    lines = run.stdout.splitlines()
    return Path(lines[1]) if len(lines) == 2 and lines[0] == runtime else None
