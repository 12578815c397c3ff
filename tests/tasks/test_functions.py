"""What a release does with functions, on the emulator."""

import io
import logging
import zipfile
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from tasks import clients, functions
from tasks.settings import settings


def packed() -> dict[str, bytes]:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("app.py", "def handler(event, context): return {}")
    return {"ZipFile": archive.getvalue()}


def make(name: str) -> None:
    clients.functions().create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/inference",
        Handler="app.handler",
        Code=packed(),
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


ROLE = "arn:aws:iam::000000000000:role/inference"
CONFIGURATION = {"Runtime": "python3.12", "Role": ROLE, "Handler": "app.handler"}


def refusing(operation: str, times: int) -> list[str]:
    """Let Lambda answer as it does until it has heard of a role; returns the refusals."""
    told: list[str] = []

    def answer(request: Any, **_: object) -> AWSResponse | None:
        if len(told) == times:
            return None
        told.append("The role defined for the function cannot be assumed by Lambda.")
        body = _Refusal(f'{{"Type": "User", "message": "{told[0]}"}}'.encode())
        headers = {"x-amzn-ErrorType": "InvalidParameterValueException"}
        return AWSResponse(request.url, 400, headers, body)

    clients.functions().meta.events.register(f"before-send.lambda.{operation}", answer)
    return told


def test_lambda_is_given_time_to_hear_of_a_new_role(tasks_environment: pytest.MonkeyPatch) -> None:
    tasks_environment.setattr(functions, "_ROLE_PAUSE_SECONDS", 0.01)
    told = refusing("CreateFunction", 3)
    assert functions.publish("fresh", packed(), CONFIGURATION, "m1", "c1") == "1"
    assert len(told) == 3
    told = refusing("UpdateFunctionConfiguration", 2)
    other = CONFIGURATION | {"Role": f"{ROLE}-other"}
    assert functions.publish("fresh", packed(), other, "m1", "c1") == "2"
    assert len(told) == 2


def test_it_is_not_given_for_ever(tasks_environment: pytest.MonkeyPatch) -> None:
    tasks_environment.setattr(functions, "_ROLE_TIMEOUT_SECONDS", 0.0)
    refusing("CreateFunction", 1_000)
    with pytest.raises(ClientError, match="cannot be assumed by Lambda"):
        functions.publish("never-heard-of", packed(), CONFIGURATION, "m1", "c1")


def test_a_functions_lines_expire_from_the_first_on(tasks_environment: pytest.MonkeyPatch) -> None:
    functions.publish("with-a-log", packed(), CONFIGURATION, "m1", "c1")
    clients.logs().put_retention_policy(logGroupName="/aws/lambda/with-a-log", retentionInDays=365)
    functions.publish("with-a-log", packed(), CONFIGURATION, "m2", "c2")
    found = clients.logs().describe_log_groups(logGroupNamePrefix="/aws/lambda/with-a-log")
    (group,) = found["logGroups"]
    assert group["retentionInDays"] == settings().log_retention_days
