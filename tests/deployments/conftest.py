"""The API over HTTP, a client of it, and the command line, for the tests that ask for them."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployments import cli
from deployments.client import Exemplar
from tests.deployments.api_server import TOKEN, ApiServer, running_api
from tests.deployments.command_line import Outcome, Run


@pytest.fixture(scope="module")
def server(emulator: Any, data_bucket: str, state_table: str) -> Iterator[ApiServer]:
    with running_api(emulator.endpoint, data_bucket, state_table) as running:
        yield running


@pytest.fixture
def connected(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables a person would set."""
    monkeypatch.setenv("EXEMPLAR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EXEMPLAR_URL", server.url)
    monkeypatch.setenv("EXEMPLAR_TOKEN", TOKEN)


@pytest.fixture
def client(connected: None) -> Iterator[Exemplar]:
    with Exemplar() as made:
        yield made


@pytest.fixture
def project(request: pytest.FixtureRequest) -> str:
    """A name for this test alone: all share the emulator."""
    return f"p{zlib.crc32(request.node.nodeid.encode()):08x}"


@pytest.fixture
def run(
    connected: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Run:
    """The command in this process, as in a pipe."""
    monkeypatch.setenv("COLUMNS", "80")

    def call(*words: object) -> Outcome:
        code = cli.main([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call
