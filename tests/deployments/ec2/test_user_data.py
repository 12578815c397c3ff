"""The script that an instance boots with, run by bash with a `shutdown` of our own."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from deployments.ec2.configuration import EC2JobConfiguration
from deployments.ec2.user_data import user_data


def boot(script: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    stub = folder / "shutdown"
    stub.write_text(f'#!/bin/bash\necho off >> "{folder}/off"\n')
    stub.chmod(0o755)
    with subprocess.Popen(
        ["bash", "-c", script],
        env={"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        out, err = process.communicate(timeout=60)
    # A machine that is off has no watcher left; here it would sleep for hours.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def configuration(folder: Path, **values: object) -> EC2JobConfiguration:
    """A machine whose interpreter only says what it was asked to run."""
    python = folder / "python"
    python.write_text('#!/bin/bash\necho "ran: $@"; echo "value: $VALUE"; exit "${STATUS:-0}"\n')
    python.chmod(0o755)
    base = {"image_id": "ami-12345678", "python": str(python), "command": "prefect run"}
    return EC2JobConfiguration.model_validate(base | values)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"env": {"STATUS": "7"}},
        {"setup_script": "exit 3"},
        {"setup_script": "no-such-command"},
        {"python": "/nowhere/python"},
    ],
)
def test_every_way_out_ends_the_machine(tmp_path: Path, values: dict[str, object]) -> None:
    boot(user_data(configuration(tmp_path, **values)), tmp_path)
    assert (tmp_path / "off").read_text() == "off\n"


def test_values_arrive_as_they_are(tmp_path: Path) -> None:
    hostile = 'it\'s $(touch /tmp/never) "quoted" `x` \\'
    done = boot(user_data(configuration(tmp_path, env={"VALUE": hostile})), tmp_path)
    assert f"value: {hostile}" in done.stdout
    assert "--lifetime-seconds 21600 -- prefect run" in done.stdout


def test_neither_secrets_nor_the_workers_own_settings_reach_user_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.settings import PREFECT_API_AUTH_STRING, temporary_settings

    monkeypatch.setenv("PREFECT_HOME", "/home/worker/.prefect")
    wanted = configuration(tmp_path, env={"MINE": "1"})
    with temporary_settings({PREFECT_API_AUTH_STRING: "admin:hunter2"}):
        wanted.prepare_for_flow_run(flow_run())
    script = user_data(wanted)
    assert "hunter2" not in script
    assert "PREFECT_HOME" not in script
    assert "export MINE=1" in script
    assert "PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR=reschedule" in script


def flow_run() -> object:
    from uuid import uuid4

    from prefect.client.schemas.objects import FlowRun

    return FlowRun(flow_id=uuid4(), name="a run")


def test_the_script_is_bash(tmp_path: Path) -> None:
    script = user_data(configuration(tmp_path, python=sys.executable))
    subprocess.run(["bash", "-n", "-c", script], check=True)
