"""What a release does with functions, on the emulator."""

import io
import logging
import zipfile

import pytest
from botocore.awsrequest import AWSResponse

from tasks import clients, functions


def make(name: str) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("app.py", "def handler(event, context): return {}")
    clients.functions().create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/inference",
        Handler="app.handler",
        Code={"ZipFile": archive.getvalue()},
    )


def reserved(name: str) -> int | None:
    return (
        clients.functions()
        .get_function_concurrency(FunctionName=name)
        .get("ReservedConcurrentExecutions")
    )


def test_concurrency_is_reserved_and_given_back(tasks_environment: pytest.MonkeyPatch) -> None:
    make("reserve")
    for at_once in (3, 5, 5):
        functions.reserve("reserve", at_once)
        assert reserved("reserve") == at_once
    for _ in range(2):
        functions.reserve("reserve", 0)
        assert reserved("reserve") is None


class _Refusal(io.BytesIO):
    def stream(self, **_: object) -> list[bytes]:
        return [self.getvalue()]


def test_an_account_without_room_is_a_warning(
    tasks_environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """AWS keeps a hundred calls at once for functions that have reserved none."""
    make("crowded")
    tasks_environment.setattr(functions, "get_run_logger", lambda: logging.getLogger("release"))
    said = "decreases account's UnreservedConcurrentExecution below its minimum value of [100]."
    body = _Refusal(f'{{"Type": "User", "message": "{said}"}}'.encode())
    headers = {"x-amzn-ErrorType": "InvalidParameterValueException"}
    clients.functions().meta.events.register(
        "before-send.lambda.PutFunctionConcurrency",
        lambda request, **_: AWSResponse(request.url, 400, headers, body),
    )
    functions.reserve("crowded", 10)
    assert "10 could not be reserved" in caplog.text
    assert said in caplog.text
    assert reserved("crowded") is None
