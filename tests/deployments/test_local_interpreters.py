"""Lambda's runtimes are matched to interpreters that really run."""

import logging
import sys
from pathlib import Path

import pytest

from deployments.local.interpreters import interpreter_for

BASE = Path(sys._base_executable)  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def forget() -> None:
    interpreter_for.cache_clear()


def command(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_the_own_version_runs_on_the_base_interpreter() -> None:
    assert interpreter_for(f"python{sys.version_info.major}.{sys.version_info.minor}") == BASE


def test_another_version_is_found_and_asked_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command(tmp_path, "python3.99", "echo python3.99; echo /opt/python3.99/bin/python")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert interpreter_for("python3.99") == Path("/opt/python3.99/bin/python")


@pytest.mark.parametrize(
    "script", ["exit 127", "echo python3.98; echo /opt/python", "echo", "echo a; echo b; echo c"]
)
def test_a_command_that_does_not_run_is_passed_over_with_a_warning(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    script: str,
) -> None:
    command(tmp_path, "python3.99", script)
    monkeypatch.setenv("PATH", str(tmp_path))
    with caplog.at_level(logging.WARNING):
        assert interpreter_for("python3.99") == BASE
    assert "python3.99" in caplog.text
