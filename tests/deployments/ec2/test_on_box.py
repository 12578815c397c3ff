"""The program that watches over a run on its machine, with real processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from deployments.ec2.on_box import Metadata, read_secrets, run
from tests.ec2_hypervisor import metadata_server

# Says on SIGTERM that it was told, as Prefect's supervisor does before it puts the run back.
POLITE = """
import signal, sys, time
def told(*_):
    print("told", flush=True); sys.exit(0)
signal.signal(signal.SIGTERM, told)
print("ready", flush=True)
time.sleep(60)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"


@pytest.mark.parametrize("status", [0, 7])
def test_the_commands_status_is_handed_on(status: int) -> None:
    command = [sys.executable, "-c", f"raise SystemExit({status})"]
    assert run(command, lifetime_seconds=20, poll_seconds=0.1) == status


def test_a_run_that_outlives_its_machine_is_killed_with_all_it_started() -> None:
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {DEAF!r}])"
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    assert run([sys.executable, "-c", nested], lifetime_seconds=0.5, poll_seconds=0.1) == 124
    time.sleep(0.2)
    after = {process.pid for process in psutil.Process().children(recursive=True)}
    assert after <= before


def test_a_spot_notice_reaches_the_run_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    noticed: set[str] = set()
    server = metadata_server(noticed)
    address = f"http://127.0.0.1:{server.server_port}/i-1"
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", address)
    try:
        assert not Metadata().is_interrupted()
        noticed.add("i-1")
        assert Metadata().is_interrupted()
        began = time.monotonic()
        assert run([sys.executable, "-c", POLITE], 60, poll_seconds=0.5) == 0
        assert time.monotonic() - began < 10
    finally:
        server.shutdown()
        server.server_close()


def test_no_metadata_service_means_no_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9")
    assert not Metadata().is_interrupted()


def test_sigterm_is_handed_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deployments.ec2.on_box", "--lifetime-seconds", "60"]
    command += ["--poll-seconds", "0.2", "--", sys.executable, "-c", POLITE]
    quiet = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | quiet) as program:
        assert program.stdout
        assert program.stdout.readline() == b"ready\n"
        program.send_signal(signal.SIGTERM)
        assert program.stdout.readline() == b"told\n"
        assert program.wait(20) == 0


def test_secrets_come_whole_or_by_key(emulator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = emulator.client("secretsmanager")
    plain = client.create_secret(Name="plain", SecretString="word")["ARN"]
    several = client.create_secret(Name="several", SecretString='{"A": "1", "B": "2"}')["ARN"]
    for name, value in {
        "AWS_ENDPOINT_URL": emulator.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    wanted = {"WORD": plain, "A": f"{several}:A::", "OTHER": f"{several}:B::"}
    assert read_secrets(wanted) == {"WORD": "word", "A": "1", "OTHER": "2"}
    assert read_secrets({}) == {}
