"""A project's endpoint: load once, then decode, predict and encode per request."""

import json
import logging
import os
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from contracts.errors import ExemplarError, InvalidRequest, LimitExceeded, NotFound
from contracts.identity import Project
from lambdas.function_url import response
from serving.access import KeyCheck
from serving.predictor import Predictor
from serving.request import header_of, part_of, question_of
from serving.time_limit import SHARE, time_limit

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BUNDLE = Path(__file__).parent.parent / "bundle"
_MAX_ANSWER_BYTES: Final = 5 * 2**20  # Lambda sends six

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)


@cache
def predictor() -> Predictor:
    """The bundle that was packed with this code, checked against its checksums."""
    return Predictor.load(BUNDLE)


@cache
def key_check() -> KeyCheck:
    """One per container."""
    project = Project(os.environ["EXEMPLAR_USER"], os.environ["EXEMPLAR_PROJECT"])
    key = {"pk": {"S": f"PROJECT#{project.slug}"}, "sk": {"S": "KEYS"}}

    def read() -> frozenset[str]:
        answer = _table().get_item(TableName=os.environ["EXEMPLAR_TABLE"], Key=key)
        return frozenset(answer.get("Item", {}).get("hashes", {}).get("SS", []))

    return KeyCheck(read)


@cache
def _table() -> "DynamoDBClient":
    import boto3  # 200 ms that a health check need not wait for
    from botocore.config import Config

    # Keys known already outlive an outage of the table; the default would wait a minute for it.
    return boto3.client(
        "dynamodb",
        config=Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2}),
    )


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Function URL event to response; a direct call, which IAM has let through, gets the document.

    Every answer carries `model_version` and `request_id`.
    """
    started = time.perf_counter()
    request_id = getattr(context, "aws_request_id", "") or ""
    try:
        if not isinstance(event, dict):
            raise InvalidRequest("the event is no JSON object", fix='send {"image_base64": "..."}')
        with time_limit(_seconds(context)):
            status, body = 200, _answer(event)
    except ExemplarError as error:
        status, body = error.http_status, error.as_dict()
    except Exception:
        log.exception("unexpected error")
        hidden = ExemplarError("the prediction failed", fix="try again; report it if it stays so")
        status, body = 500, hidden.as_dict()
    body |= {"request_id": request_id, "model_version": _version()}
    _log_line(request_id, status, body, time.perf_counter() - started)
    return response(status, body) if _is_over_http(event) else body


def _is_over_http(event: object) -> bool:
    return isinstance(event, dict) and "requestContext" in event


def _seconds(context: Any) -> float | None:
    """How long the answer may take; what calls this outside of Lambda has no context."""
    left = getattr(context, "get_remaining_time_in_millis", None)
    return None if left is None else left() / 1_000 * SHARE


def _answer(event: Mapping[str, Any]) -> dict[str, Any]:
    http = part_of(part_of(event, "requestContext"), "http")
    if http.get("method") == "GET":
        if event.get("rawPath", "/") in {"/", "/health"}:
            predictor()  # healthy means able to answer
            return {"status": "ok"}
        raise NotFound("there is nothing here", fix="POST an example to /")
    if "requestContext" in event:
        key_check().check(_key(event))
    question = question_of(event, predictor().card.kind)
    answers: list[dict[str, Any]] = [
        {"label": prediction.label, "probabilities": prediction.probabilities}
        for prediction in predictor().answers(question.examples)
    ]
    if question.explained is not None:
        from serving.explanation import explain  # few ask for it

        found = explain(predictor(), question.examples[0], question.explained)
        answers[0]["explanation"] = found.as_dict()
    if not question.is_list:
        return answers[0]
    _check_size(answers)
    return {"predictions": answers}


def _check_size(answers: list[dict[str, Any]]) -> None:
    """All have the same names; a runtime that may not send what it was given fails instead."""
    each = len(json.dumps(json.dumps(answers[0])))  # as text inside of JSON
    most = _MAX_ANSWER_BYTES // each
    if len(answers) > most:
        raise LimitExceeded(
            f"{len(answers)} answers of {each:,} bytes are more than can be sent",
            fix=f"send at most {most} texts in one request",
        )


def _key(event: Mapping[str, Any]) -> str:
    scheme, _, token = header_of(event, "authorization").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    return header_of(event, "x-api-key") or bearer


def _version() -> str:
    try:
        return predictor().card.model_version
    except ExemplarError:
        return ""


def _log_line(request_id: str, status: int, body: dict[str, Any], seconds: float) -> None:
    line = {"request_id": request_id, "status": status, "ms": round(seconds * 1_000, 1)}
    line |= {"model_version": body["model_version"], "label": body.get("label")}
    if "predictions" in body:
        line["texts"] = len(body["predictions"])
    log.info(json.dumps(line, ensure_ascii=False))
