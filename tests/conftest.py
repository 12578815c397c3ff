"""What all tests share: an AWS emulator for the session, with one bucket and one table."""

from collections.abc import Iterator
from dataclasses import dataclass

import boto3
import pytest
from botocore.config import Config

from tests import emulator_process

DUMMY = "test"


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
    emulator.client("dynamodb").create_table(
        TableName="exemplar-test-state",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
        ],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    )
    return "exemplar-test-state"


@pytest.fixture(scope="module")
def prefect_server() -> Iterator[None]:
    """A Prefect server on loopback; the process's clients use it while the fixture lasts."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=60):
        yield
