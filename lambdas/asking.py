"""Asking a project's live model for its owner: the token has opened the API, so no key is needed.

It is a direct call of the project's function, which counts it and keeps it as any other request.
"""

import json
import logging
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from contracts import strict_json
from contracts.errors import (
    BadAnswer,
    Conflict,
    LimitExceeded,
    RateLimited,
    Unavailable,
    http_status_of,
)
from lambdas.live_alias import LIVE

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

MAX_QUESTION_BYTES: Final = 5 * 2**20  # of Lambda's six, in which the gateway's event has to fit

log = logging.getLogger(__name__)


def ask(client: "LambdaClient", function: str, question: dict[str, Any]) -> tuple[int, Any]:
    """The status that the endpoint would answer with, and its document.

    Raises `LimitExceeded`, `Conflict` where nothing is live, `RateLimited`, `Unavailable` and
    `BadAnswer`.
    """
    payload = strict_json.written(question).encode()
    if len(payload) > MAX_QUESTION_BYTES:
        raise LimitExceeded(
            f"the question has {len(payload):,} bytes, the limit is {MAX_QUESTION_BYTES:,}",
            fix="scale the picture down, or send fewer texts at once",
        )
    try:
        answer = client.invoke(FunctionName=function, Qualifier=LIVE, Payload=payload)
        body = json.load(answer["Payload"])
    except client.exceptions.ResourceNotFoundException as error:
        raise nothing_live() from error
    except client.exceptions.TooManyRequestsException as error:
        raise RateLimited(
            "the model answers as many as it can", fix="try again", retry_after_seconds=1
        ) from error
    except (BotoCoreError, ClientError) as error:
        log.warning("%s does not answer: %s", function, error)
        raise Unavailable("the model is busy or still starting", fix="try again") from error
    except ValueError as error:
        raise _bad_answer() from error
    if answer.get("FunctionError") or not isinstance(body, dict):
        log.error("%s failed: %s", function, str(body)[:2_000])
        raise _bad_answer()
    return _with_status(body)


def nothing_live() -> Conflict:
    """What whoever asks too early is told."""
    return Conflict(
        "no model is live yet", fix="train the project; the first model answers within a minute"
    )


def _with_status(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """A direct call's answer names no status."""
    if "error" not in body:
        return 200, body
    error = body["error"]
    if not isinstance(error, dict):
        raise _bad_answer()
    return http_status_of(error.get("code")), {"error": error}


def _bad_answer() -> BadAnswer:
    return BadAnswer("the model did not answer", fix="try again; report it if it stays so")
