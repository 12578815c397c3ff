"""The control functions, pointed at the emulator as Lambda's environment would."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest

from lambdas import environment
from tests import emulator_process
from tests.conformance import check_answer
from tests.conftest import Emulator, create_state_table
from tests.lambdas.acting import BUCKET, TABLE, acting, make_role, policy_of

_CLIENTS = (
    environment.s3,
    environment.functions,
    environment.models,
    environment.logs,
    environment.state,
)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One of its own, in which IAM decides."""
    port, folder = emulator_process.free_port(), tmp_path_factory.mktemp("emulator")
    with emulator_process.emulator(folder, port, "tests.authorizing_emulator"):
        found = Emulator(f"http://127.0.0.1:{port}")
        make_role(found.client("iam"), "inference")
        make_role(found.client("iam"), "ingest", policy_of("IngestRole"))
        yield found


@pytest.fixture(scope="session")
def data_bucket(emulator: Emulator) -> str:
    emulator.client("s3").create_bucket(Bucket=BUCKET)
    return BUCKET


@pytest.fixture(scope="session")
def state_table(emulator: Emulator) -> str:
    return create_state_table(emulator, TABLE)


@pytest.fixture(autouse=True)
def lambda_environment(
    emulator: Any, data_bucket: str, state_table: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    for name, value in {
        "AWS_ENDPOINT_URL": emulator.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "EXEMPLAR_BUCKET": data_bucket,
        "EXEMPLAR_TABLE": state_table,
        "EXEMPLAR_STACK": "exemplar",
        "EXEMPLAR_INGEST_FUNCTION": "exemplar-ingest",
        "EXEMPLAR_PIPELINE": "pipeline/pipeline",
        "PREFECT_API_URL": "http://127.0.0.1:9/api",  # nobody listens there
        "POWERTOOLS_TRACE_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("lambdas.orchestrator._ATTEMPTS", 2)  # six would take as many seconds
    for cached in _CLIENTS:
        cached.cache_clear()
    yield
    for cached in _CLIENTS:
        cached.cache_clear()


Call = Callable[..., tuple[int, Any]]


@pytest.fixture
def call() -> Call:
    """Call the API as API Gateway does, as the given user; answers are what the document says.

    It has the rights of its role in the template and no others.
    """
    from lambdas.api import handler

    def send(method: str, path: str, body: Any = None, user: str = "ann") -> tuple[int, Any]:
        path, _, query = path.partition("?")
        event = {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": query,
            "queryStringParameters": dict(parse_qsl(query, keep_blank_values=True)),
            "headers": {"content-type": "application/json"},
            "requestContext": {
                "http": {"method": method, "path": path, "sourceIp": "127.0.0.1"},
                "stage": "$default",
                "authorizer": {"lambda": {"user": user}},
            },
            "body": body if isinstance(body, str) else json.dumps(body) if body else "",
            "isBase64Encoded": False,
        }
        with acting("ApiRole"):
            answer = handler(event, None)
        body = json.loads(answer["body"])
        check_answer(method, path, answer["statusCode"], body)
        return answer["statusCode"], body

    return send
