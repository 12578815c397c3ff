"""What an endpoint says when the function behind it does not answer."""

import io
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from lambdas import forward
from lambdas.function_url import is_trial

HTTP = {"requestContext": {"http": {"method": "POST"}}, "body": "x"}


class Context:
    aws_request_id = "request-7"


class Behind:
    """The other function; only what it gives back is made up, what is done with it is not."""

    def __init__(self, answer: Any, error: str = "") -> None:
        self._answer, self._error = answer, error
        self.calls: list[dict[str, Any]] = []

    def invoke(self, **call: Any) -> dict[str, Any]:
        self.calls.append(call)
        if isinstance(self._answer, Exception):
            raise self._answer
        found = {"Payload": io.BytesIO(json.dumps(self._answer).encode())}
        return found | ({"FunctionError": self._error} if self._error else {})


@pytest.fixture(autouse=True)
def target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(forward.TARGET, "exemplar-image_ann_cats:7")


def put(monkeypatch: pytest.MonkeyPatch, behind: Behind) -> Behind:
    monkeypatch.setattr(forward, "_functions", lambda: behind)
    return behind


def test_the_event_goes_on_whole_to_one_version_and_its_answer_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    behind = put(monkeypatch, Behind({"statusCode": 401, "body": "{}"}))
    assert forward.handler(HTTP, Context()) == {"statusCode": 401, "body": "{}"}
    (call,) = behind.calls
    assert (call["FunctionName"], call["Qualifier"]) == ("exemplar-image_ann_cats", "7")
    assert json.loads(call["Payload"]) == HTTP


class OfVersion(Context):
    invoked_function_arn = "arn:aws:lambda:us-east-1:1:function:exemplar-infer_ann_cats:7"


def test_a_direct_call_stays_use_and_a_trial_stays_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """The function behind it sees one of its versions called either way."""
    behind = put(monkeypatch, Behind({"label": "cat", "probabilities": {"cat": 1.0}}))
    for event, context in (({"text": "a"}, Context()), ({"text": "a"}, OfVersion())):
        forward.handler(event, context)
    use, trial = (json.loads(call["Payload"]) for call in behind.calls)
    assert [is_trial(event, OfVersion()) for event in (use, trial)] == [False, True]
    assert {name: use[name] for name in ("text",)} == trial == {"text": "a"}


def test_an_error_counts_by_its_status(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for code in ("unreadable_example", "error", "of a later version"):
        put(monkeypatch, Behind({"error": {"code": code}}))
        forward.handler({"text": "direct"}, Context())
    lines = [json.loads(r.message) for r in caplog.records if r.levelname == "INFO"]
    assert [line["status"] for line in lines] == [422, 500, 502]


@pytest.mark.parametrize(
    "behind",
    [
        Behind(ClientError({"Error": {"Code": "TooManyRequestsException"}}, "Invoke")),
        Behind(ReadTimeoutError(endpoint_url="https://lambda")),
        Behind({"errorMessage": "secret of the other"}, "Unhandled"),
        Behind("no object"),
        Behind(None),
    ],
)
def test_whatever_fails_behind_it_is_an_error_with_a_way_out_and_tells_no_secrets(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, behind)
    answer = forward.handler(HTTP, Context())
    body = json.loads(answer["body"])
    assert answer["statusCode"] == 503
    assert body["request_id"] == "request-7"
    assert body["error"]["fix"]
    assert "secret" not in answer["body"]
    assert forward.handler({"text": "direct"}, Context())["error"]["code"] == "unavailable"


def test_a_line_is_logged_where_the_request_came_in(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    body = {"label": "cat", "probabilities": {"cat": 0.9, "dog": 0.1}, "model_version": "m"}
    put(monkeypatch, Behind({"statusCode": 200, "body": json.dumps(body)}))
    forward.handler(HTTP, Context())
    put(monkeypatch, Behind(body))
    forward.handler({"text": "direct"}, Context())
    put(monkeypatch, Behind(None))
    forward.handler(HTTP, Context())
    answered, direct, failed = (
        json.loads(record.message) for record in caplog.records if record.levelname == "INFO"
    )
    assert answered["request_id"] == "request-7"  # as Lambda's own lines on this call have it
    assert (answered["label"], answered["confidence"], answered["forwarded"]) == ("cat", 0.9, True)
    assert (direct["status"], direct["examples"]) == (200, 1)
    assert (failed["status"], failed["examples"]) == (503, 0)
