"""A project's endpoint: load once, then decode, predict and encode per request."""

import itertools
import json
import logging
import os
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from contracts.errors import (
    ExemplarError,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    Unavailable,
)
from contracts.http_event import part_of
from contracts.identity import Project
from contracts.keys import ProjectKeys, expiry_tag
from contracts.request_line import RequestLine
from lambdas.admission import admit, counted_together
from lambdas.function_url import is_trial, response
from lambdas.request_log import RequestLog
from serving.access import EndpointAccess, KeyCheck
from serving.predictor import Predictor
from serving.rate_limit import RateLimit
from serving.request import question_of
from serving.time_limit import SHARE, time_limit

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

BUNDLE = Path(__file__).parent.parent / "bundle"
_MAX_ANSWER_BYTES: Final = 5 * 2**20  # Lambda sends six

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)

_calls = itertools.count()  # of this container


@cache
def predictor() -> Predictor:
    """The bundle that was packed with this code, checked against its checksums."""
    return Predictor.load(BUNDLE)


@cache
def key_check() -> KeyCheck:
    """One per container."""
    return KeyCheck(lambda: EndpointAccess.from_item(_keys_item()))


@cache
def rate_limit() -> RateLimit:
    """One per container."""
    return RateLimit(counted_together(_table(), os.environ["EXEMPLAR_TABLE"], _project()))


@cache
def request_log() -> RequestLog:
    """One per container."""

    def put(key: str, data: bytes) -> None:
        bucket, tag = os.environ["EXEMPLAR_BUCKET"], expiry_tag(key)
        _bucket().put_object(
            Bucket=bucket, Key=key, Body=data, ContentType="application/json", Tagging=tag
        )

    return RequestLog(ProjectKeys(_project()), put, _keys_item)


def _project() -> Project:
    return Project(os.environ["EXEMPLAR_USER"], os.environ["EXEMPLAR_PROJECT"])


def _keys_item() -> dict[str, Any]:
    """Who may ask, and what else the owner has set for the endpoint."""
    key = {"pk": {"S": f"PROJECT#{_project().slug}"}, "sk": {"S": "KEYS"}}
    # As last written: what is read now counts for a minute.
    answer = _table().get_item(TableName=os.environ["EXEMPLAR_TABLE"], Key=key, ConsistentRead=True)
    item: dict[str, Any] = dict(answer.get("Item", {}))
    request_log().learn(float(item.get("log_share", {}).get("N", 0)))
    return item


def may_fetch() -> bool:
    """Whether the owner lets it fetch pictures; looked up for such a request only."""
    try:
        item = _keys_item()
    except Exception as error:
        raise Unavailable(
            "whether addresses may be fetched cannot be looked up", fix="try again soon"
        ) from error
    return bool(item.get("fetch_urls", {}).get("BOOL", False))


@cache
def _table() -> "DynamoDBClient":
    import boto3  # 200 ms that a health check need not wait for
    from botocore.config import Config

    # Keys known already outlive an outage of the table; the default would wait a minute for it.
    return boto3.client(
        "dynamodb",
        config=Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2}),
    )


@cache
def _bucket() -> "S3Client":
    import boto3
    from botocore.config import Config

    # An answer waits for this, so there is one try, and it may not take long.
    addressing: Any = "path" if os.environ.get("AWS_ENDPOINT_URL") else "auto"
    config = Config(
        connect_timeout=0.3,
        read_timeout=0.7,
        retries={"total_max_attempts": 1},
        s3={"addressing_style": addressing},
    )
    return boto3.client("s3", config=config)


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Function URL event to response; a direct call, which IAM has let through, gets the document.

    Every answer carries `model_version` and `request_id`.
    """
    started, is_cold = time.perf_counter(), next(_calls) == 0
    request_id = getattr(context, "aws_request_id", "") or ""
    trial = False
    try:
        if not isinstance(event, dict):
            raise InvalidRequest("the event is no JSON object", fix='send {"image_base64": "..."}')
        trial = is_trial(event, context)
        with time_limit(_seconds(context)):
            status, body = 200, _answer(event, "" if trial else request_id)
    except ExemplarError as error:
        status, body = error.http_status, error.as_dict()
    except Exception:
        log.exception("unexpected error")
        hidden = ExemplarError("the prediction failed", fix="try again; report it if it stays so")
        status, body = 500, hidden.as_dict()
    body |= {"request_id": request_id, "model_version": _version()}
    seconds = time.perf_counter() - started
    line = RequestLine.of(request_id, status, seconds, body, is_cold=is_cold, is_trial=trial)
    log.info(line.to_json())
    return response(status, body) if _is_over_http(event) else body


def _is_over_http(event: object) -> bool:
    return isinstance(event, dict) and "requestContext" in event


def _seconds(context: Any) -> float | None:
    """How long the answer may take; what calls this outside of Lambda has no context."""
    left = getattr(context, "get_remaining_time_in_millis", None)
    return None if left is None else left() / 1_000 * SHARE


def _answer(event: Mapping[str, Any], kept_as: str) -> dict[str, Any]:
    http = part_of(part_of(event, "requestContext"), "http")
    if http.get("method") == "GET":
        if event.get("rawPath", "/") in {"/", "/health"}:
            predictor()  # healthy means able to answer
            return {"status": "ok"}
        raise NotFound("there is nothing here", fix="POST an example to /")
    if "requestContext" in event:
        admit(event, key_check(), rate_limit)
    question = question_of(event, predictor().card.kind, may_fetch)
    answers: list[dict[str, Any]] = [
        {"label": prediction.label, "probabilities": prediction.probabilities}
        for prediction in predictor().answers(question.examples)
    ]
    if question.explained is not None:
        from serving.explanation import explain  # few ask for it

        found = explain(predictor(), question.examples[0], question.explained)
        answers[0]["explanation"] = found.as_dict()
    if question.is_list:
        _check_size(answers)
    body = {"predictions": answers} if question.is_list else answers[0]
    if kept_as:
        request_log().keep(kept_as, question, body | {"model_version": _version()})
    return body


def _check_size(answers: list[dict[str, Any]]) -> None:
    """All have the same names; a runtime that may not send what it was given fails instead."""
    each = len(json.dumps(json.dumps(answers[0])))  # as text inside of JSON
    most = _MAX_ANSWER_BYTES // each
    if len(answers) > most:
        raise LimitExceeded(
            f"{len(answers)} answers of {each:,} bytes are more than can be sent",
            fix=f"send at most {most} texts in one request",
        )


def _version() -> str:
    try:
        return predictor().card.model_version
    except ExemplarError:
        return ""
