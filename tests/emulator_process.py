"""The AWS emulator as a process of its own, without our launcher, and plain HTTP calls to it."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def emulator(
    folder: Path, port: int, module: str = "ministack", **variables: str
) -> Iterator["subprocess.Popen[bytes]"]:
    environment = os.environ | {"LOG_LEVEL": "WARNING"} | variables
    environment |= {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "IOT_MTLS_ENABLED": "0"}
    environment["TMPDIR"] = str(folder)
    command = [sys.executable, "-m", module]
    with (
        (folder / "log.txt").open("ab") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) as server,
    ):
        try:
            health = f"http://127.0.0.1:{port}/_ministack/health"
            until(lambda: server.poll() is not None or status_of(health) == 200)
            assert server.poll() is None, (folder / "log.txt").read_text()
            yield server
        finally:
            server.terminate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def until(is_true: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def call(url: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def status_of(url: str) -> int:
    try:
        return call(url)[0]
    except OSError:
        return 0
