"""What all tests share: an AWS emulator for the session, with one bucket and one table."""

from collections.abc import Iterator
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from hypothesis import settings as hypothesis_settings

from tasks import clients
from tasks.settings import settings
from tests import emulator_process

DUMMY = "test"

# How long an example takes depends on what else the machine does.
hypothesis_settings.register_profile("untimed", deadline=None)
hypothesis_settings.load_profile("untimed")


@dataclass(frozen=True)
class Emulator:
    """A running emulator; clients made here reach it and nothing else."""

    endpoint: str

    def client(self, service: str):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=DUMMY,
            aws_secret_access_key=DUMMY,
            config=Config(s3={"addressing_style": "path"}),
        )


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    port = emulator_process.free_port()
    with emulator_process.emulator(tmp_path_factory.mktemp("emulator"), port):
        yield Emulator(f"http://127.0.0.1:{port}")


@pytest.fixture(scope="session")
def data_bucket(emulator: Emulator) -> str:
    emulator.client("s3").create_bucket(Bucket="exemplar-test-data")
    return "exemplar-test-data"


@pytest.fixture(scope="session")
def state_table(emulator: Emulator) -> str:
    return create_state_table(emulator, "exemplar-test-state")


def create_state_table(emulator: Emulator, name: str) -> str:
    emulator.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
        ],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    )
    return name


@pytest.fixture
def tasks_environment(
    emulator: Any,
    data_bucket: str,
    state_table: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[pytest.MonkeyPatch]:
    """Tasks pointed at the emulator, with settings of their own."""
    for name, value in {
        "AWS_ENDPOINT_URL": emulator.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "EXEMPLAR_PLACE": "local",
        "EXEMPLAR_BUCKET": data_bucket,
        "EXEMPLAR_TABLE": state_table,
        "EXEMPLAR_INFERENCE_ROLE_ARN": "arn:aws:iam::000000000000:role/inference",
        "EXEMPLAR_INFERENCE_LAYER_ARN": "arn:aws:lambda:us-east-1:000000000000:layer:inference:1",
        "EXEMPLAR_CACHE_DIR": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    cached = (settings, clients.session, clients.s3, clients.functions, clients.logs, clients.state)
    for function in cached:
        function.cache_clear()
    yield monkeypatch
    for function in cached:
        function.cache_clear()


@pytest.fixture(scope="session")
def prefect_address() -> Iterator[str]:
    """A Prefect server on loopback for the session: starting one takes ten seconds."""
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    # A context of its own, so that only tests that ask for the server have its settings.
    apart = copy_context()
    harness = prefect_test_harness(server_startup_timeout=60)
    apart.run(harness.__enter__)
    try:
        yield str(apart.run(PREFECT_API_URL.value))
    finally:
        apart.run(harness.__exit__, None, None, None)


@pytest.fixture(scope="module")
def prefect_server(prefect_address: str) -> Iterator[None]:
    """The process's Prefect clients use the session's server while the fixture lasts.

    Names of pools and flows are shared by all tests: give each module's its own.
    """
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: prefect_address}):
        yield
