"""An account without anything on it, a Prefect server, and the command line."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from prefect.settings import PREFECT_API_URL

from deployments import cli
from tests.deployments.command_line import Outcome, Run
from tests.emulator_process import emulator, free_port

REGION = "us-east-1"


@dataclass(frozen=True)
class FreshAccount:
    endpoint: str

    def client(self, service: str) -> Any:
        return boto3.client(service, endpoint_url=self.endpoint, region_name=REGION)


@pytest.fixture(scope="module")
def account_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    with emulator(tmp_path_factory.mktemp("account"), port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def account(account_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> FreshAccount:
    for name, value in {
        "AWS_ENDPOINT_URL": account_endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
    }.items():
        monkeypatch.setenv(name, value)
    return FreshAccount(account_endpoint)


@pytest.fixture
def run(
    account: FreshAccount,
    prefect_server: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """The command in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXEMPLAR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    monkeypatch.setenv("COLUMNS", "100")

    def call(*words: object) -> Outcome:
        code = cli.main([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call
