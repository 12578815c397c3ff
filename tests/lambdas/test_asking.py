"""What the control API makes of whatever the function says that it asks."""

import io
import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from contracts.errors import (
    BadAnswer,
    Conflict,
    ExemplarError,
    LimitExceeded,
    RateLimited,
    Unavailable,
    http_status_of,
)
from contracts.identity import Project
from lambdas import asking, environment
from lambdas.asking import MAX_QUESTION_BYTES, ask

FUNCTION, PROJECT = "exemplar-infer_ann_cats", Project("ann", "questioned")


class Behind:
    """The function; only what it gives back is made up, what is done with it is not."""

    def __init__(self, answer: Any, error: str = "") -> None:
        self._answer, self._error = answer, error
        self.calls: list[dict[str, Any]] = []
        self.exceptions = boto3.client("lambda").exceptions

    def invoke(self, **call: Any) -> dict[str, Any]:
        self.calls.append(call)
        if isinstance(self._answer, str):
            raise self.exceptions.from_code(self._answer)({"Error": {"Code": self._answer}}, "X")
        if isinstance(self._answer, Exception):
            raise self._answer
        raw = self._answer if isinstance(self._answer, bytes) else json.dumps(self._answer).encode()
        return {"Payload": io.BytesIO(raw)} | ({"FunctionError": "x"} if self._error else {})


def asked(answer: Any, error: str = "") -> Any:
    return ask(Behind(answer, error), FUNCTION, {"text": "a"})  # type: ignore[arg-type]


def test_the_live_version_is_asked_for_exactly_what_was_sent() -> None:
    behind = Behind({"label": "cat"})
    question = {"text": "\ud800 é", "explain": True}
    assert ask(behind, FUNCTION, question) == (200, {"label": "cat"})  # type: ignore[arg-type]
    (call,) = behind.calls
    assert (call["FunctionName"], call["Qualifier"]) == (FUNCTION, "live")
    assert json.loads(call["Payload"]) == question


@pytest.mark.parametrize(
    ("code", "status"),
    [
        *(("invalid_request", 400), ("not_found", 404), ("limit_exceeded", 413), ("error", 500)),
        *(("unreadable_example", 422), ("unavailable", 503), ("bundle_invalid", 500)),
        *(("of a later version", 502), (None, 502), (["x"], 502)),
    ],
)
def test_an_error_has_the_status_of_its_code(code: Any, status: int) -> None:
    error = {"code": code, "message": "m", "fix": "f"}
    answer = {"error": error, "request_id": "r", "model_version": "m"}
    assert asked(answer) == (status, {"error": error})


@pytest.mark.parametrize(
    ("behind", "expected"),
    [
        (("ResourceNotFoundException",), Conflict),
        (("TooManyRequestsException",), RateLimited),
        (("ServiceException",), Unavailable),
        ((ReadTimeoutError(endpoint_url="https://lambda"),), Unavailable),
        ((ClientError({"Error": {"Code": "AccessDenied"}}, "Invoke"),), Unavailable),
        (({"errorMessage": "secret"}, "Unhandled"), BadAnswer),
        ((b'"secret"', "Unhandled"), BadAnswer),
        (([1],), BadAnswer),
        ((b"no json",), BadAnswer),
        (({"error": "no form"},), BadAnswer),
    ],
)
def test_whatever_fails_has_a_way_out_and_tells_no_secrets(
    behind: tuple[Any, ...], expected: type[ExemplarError]
) -> None:
    with pytest.raises(expected) as refusal:
        asked(*behind)
    assert refusal.value.fix
    assert "secret" not in refusal.value.message


def test_more_than_lambda_takes_is_refused_before_it_is_sent() -> None:
    behind = Behind({})
    with pytest.raises(LimitExceeded, match="the limit is 5,242,880") as refusal:
        ask(behind, FUNCTION, {"image_base64": "A" * MAX_QUESTION_BYTES})  # type: ignore[arg-type]
    assert "scale the picture down" in refusal.value.fix
    assert behind.calls == []


def test_every_code_has_one_status() -> None:
    from contracts import errors

    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, Exception)]
    assert {kind.code for kind in kinds} == {kind.code for kind in errors._KINDS}
    for kind in kinds:
        assert http_status_of(kind.code) == kind.http_status


def test_an_owner_asks_too_early_in_the_wrong_way_or_for_anothers(call: Any) -> None:
    path = f"/v1/projects/{PROJECT.name}/predict"
    assert call("POST", path, {"text": "a"})[0] == 404
    call("POST", "/v1/projects", {"name": PROJECT.name, "kind": "image", "classes": ["a", "b"]})
    status, early = call("POST", path, {"image_base64": "AAAA"})
    assert (status, early["error"]["code"]) == (409, "conflict")
    assert "train" in early["error"]["fix"]
    for body in (
        *({}, [], "x", {"explain": True}, {"label": "a"}),
        *({"requestContext": {"http": {"method": "GET"}}}, {"text": "a", "headers": {}}),
    ):
        assert call("POST", path, body)[0] == 400, body
    assert call("POST", path, {"text": "a"}, user="bob")[0] == 404


def test_what_the_record_calls_live_but_is_gone_is_told_as_well(call: Any) -> None:
    call("POST", "/v1/projects", {"name": "vanished", "kind": "image", "classes": ["a", "b"]})
    environment.state().update_project(Project("ann", "vanished"), model_version="draft-1")
    status, body = call("POST", "/v1/projects/vanished/predict", {"image_base64": "AAAA"})
    assert (status, body["error"]["message"]) == (409, asking.nothing_live().message)
