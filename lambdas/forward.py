"""The endpoint of a model that lives in a container image: every call goes on to that function.

A function is either a zip or an image for its whole life. So the project's function, whose URL and
alias people use, stays a zip, and releasing a large model publishes a version that forwards.
"""

import itertools
import json
import logging
import os
import time
from functools import cache
from typing import TYPE_CHECKING, Any

from contracts.errors import ExemplarError, Unavailable, http_status_of
from contracts.request_line import RequestLine
from lambdas.function_url import FORWARDED, is_trial, response

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

TARGET = "EXEMPLAR_FORWARD_TO"  # function:version, so that each version of this one has its own
WAIT = "EXEMPLAR_FORWARD_SECONDS"

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)

_calls = itertools.count()  # of this container


@cache
def _functions() -> "LambdaClient":
    import boto3
    from botocore.config import Config

    # One attempt: the caller is still there and may repeat it; a second one would cost twice.
    wait = float(os.environ.get(WAIT, "30"))
    config = Config(connect_timeout=2, read_timeout=wait, retries={"total_max_attempts": 1})
    return boto3.client("lambda", config=config)


def handler(event: Any, context: Any) -> dict[str, Any]:
    """The other function's answer, which also checks the key; its failures become errors here."""
    started, is_cold = time.perf_counter(), next(_calls) == 0
    request_id = getattr(context, "aws_request_id", "") or ""
    is_tried = is_trial(event, context)
    try:
        # The other function sees one of its versions called, as in a trial.
        is_marked = isinstance(event, dict) and "requestContext" not in event and not is_tried
        answer = _forwarded(event | {FORWARDED: True} if is_marked else event)
    except ExemplarError as error:
        body = error.as_dict() | {"request_id": request_id, "model_version": ""}
        answer = body if "requestContext" not in event else response(error.http_status, body)
    flags = {"is_cold": is_cold, "is_trial": is_tried, "is_forwarded": True}
    status, body = _as_seen(answer)
    line = RequestLine.of(request_id, status, time.perf_counter() - started, body, **flags)
    log.info(line.to_json())
    return answer


def _as_seen(answer: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Status and document of an answer; that to a direct call names no status."""
    if "statusCode" in answer:
        return answer["statusCode"], json.loads(answer["body"])
    error = answer.get("error")
    if isinstance(error, dict):
        return http_status_of(error.get("code")), answer
    return 500 if "error" in answer else 200, answer


def _forwarded(event: Any) -> dict[str, Any]:
    from botocore.exceptions import BotoCoreError, ClientError

    name, _, version = os.environ[TARGET].rpartition(":")
    try:
        answer = _functions().invoke(
            FunctionName=name, Qualifier=version, Payload=json.dumps(event).encode()
        )
        payload = json.load(answer["Payload"])
    except (BotoCoreError, ClientError) as error:
        log.warning("%s does not answer: %s", os.environ[TARGET], error)
        raise Unavailable("the model is busy or still starting", fix="try again") from error
    if answer.get("FunctionError") or not isinstance(payload, dict):
        log.error("%s failed: %s", os.environ[TARGET], str(payload)[:2_000])
        raise Unavailable("the model did not answer", fix="try again; report it if it stays so")
    return payload
