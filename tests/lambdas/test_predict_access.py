"""Who gets an answer from an endpoint, and how many of them, by the real table."""

import base64
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from contracts.identity import Project
from contracts.manifest import Kind
from lambdas import predict
from lambdas.state import ProjectRecord, State
from models.bundle_writer import write_bundle
from tests.conformance import check_answer
from tests.serving.conftest import colour_card, colour_graph

PROJECT, KEY = Project("ada", "access"), "xk_right"
IAM = {"iam": {"userArn": "arn:aws:iam::1:user/ann", "accessKey": "AKIA", "accountId": "1"}}
Ask = Callable[..., tuple[int, dict[str, Any], dict[str, str]]]


def picture() -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), "blue").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture
def state(emulator: Any, state_table: str) -> State:
    made = State(emulator.client("dynamodb"), state_table)
    made.create_project(ProjectRecord(PROJECT, Kind.IMAGE, ("a", "b")))
    made.put_key(PROJECT, KEY)
    made.set_access(PROJECT, "key", None)
    return made


def new_container(now: float | None = None) -> None:
    """Forget everything that one container knows; the next one's minutes are those of `now`."""
    for cached in (predict.predictor, predict.key_check, predict.rate_limit, predict._table):
        cached.cache_clear()
    if now is not None:
        predict.rate_limit()._clock = lambda: now


@pytest.fixture
def ask(state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    write_bundle(tmp_path / "bundle", colour_card(), colour_graph())
    monkeypatch.setattr(predict, "BUNDLE", tmp_path / "bundle")
    monkeypatch.setenv("EXEMPLAR_USER", PROJECT.user)
    monkeypatch.setenv("EXEMPLAR_PROJECT", PROJECT.name)
    new_container()

    def call(
        body: dict[str, Any] | None = None,
        context: dict[str, Any] | None = None,
        **headers: str,
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        event = {
            "requestContext": {"http": {"method": "POST"}} | (context or {}),
            "rawPath": "/",
            "headers": {"content-type": "application/json"}
            | {name.replace("_", "-"): value for name, value in headers.items()},
            "body": json.dumps({"image_base64": picture()} | (body or {})),
            "isBase64Encoded": False,
        }
        answer = predict.handler(event, None)
        found = json.loads(answer["body"])
        check_answer("POST", "/", answer["statusCode"], found)
        return answer["statusCode"], found, answer["headers"]

    yield call
    new_container()


def test_whom_aws_lets_through_needs_no_key(ask: Ask, state: State) -> None:
    state.set_access(PROJECT, "iam", None)
    assert ask(context={"authorizer": IAM})[0] == 200
    assert ask(context={"authorizer": IAM}, x_api_key="any")[0] == 200
    status, answer, _ = ask(x_api_key=KEY)
    assert (status, answer["error"]["code"]) == (401, "unauthorized")
    assert "SigV4" in answer["error"]["fix"]


@pytest.mark.parametrize("auth", ["key", "iam"])
@pytest.mark.parametrize(
    "smuggled",
    [
        {"body": {"requestContext": {"authorizer": IAM}}},
        {"body": {"authorizer": IAM, "iam": IAM["iam"]}},
        {"requestContext": json.dumps({"authorizer": IAM})},
        {"authorizer": json.dumps(IAM), "x_amzn_request_context": json.dumps({"authorizer": IAM})},
        {"authorization": "AWS4-HMAC-SHA256 Credential=AKIA/1/r/lambda/aws4_request, Signature=0"},
        {"context": {"authorizer": {"lambda": {"user": "ada"}}}},
        {"context": {"authorizer": {"iam": None}}},
        {"context": {"authorizer": {"iam": {}}}},
        {"context": {"authorizer": None}},
    ],
    ids=str,
)
def test_nobody_can_say_himself_that_aws_let_him_through(
    ask: Ask, state: State, auth: str, smuggled: dict[str, Any]
) -> None:
    state.set_access(PROJECT, auth, None)
    status, answer, _ = ask(**smuggled)
    assert (status, answer["error"]["code"]) == (401, "unauthorized")


def test_a_signature_opens_nothing_where_keys_count(ask: Ask, state: State) -> None:
    assert ask(context={"authorizer": IAM})[0] == 401
    state.remove_keys(PROJECT)  # as a deletion does at once
    new_container()
    assert ask(context={"authorizer": IAM})[0] == 401


def test_signers_are_counted_one_by_one(ask: Ask, state: State) -> None:
    state.set_access(PROJECT, "iam", 2)
    new_container(5_000 * 60.0)
    eve = {"iam": IAM["iam"] | {"userArn": "arn:aws:iam::1:user/eve"}}
    assert [ask(context={"authorizer": IAM})[0] for _ in range(3)] == [200, 200, 429]
    assert ask(context={"authorizer": eve})[0] == 200


def test_beyond_the_projects_limit_callers_are_told_when_to_come_back(
    ask: Ask, state: State
) -> None:
    state.set_access(PROJECT, "key", 3)
    now = 1_000 * 60 + 20.0
    new_container(now)
    state.add_key(PROJECT, "xk_other")
    assert [ask(x_api_key=KEY)[0] for _ in range(3)] == [200] * 3
    new_container(now)  # another one learns what this one has counted
    assert ask(x_api_key=KEY)[0] == 200
    status, answer, headers = ask(x_api_key=KEY)
    assert (status, answer["error"]["code"]) == (429, "rate_limited")
    assert (headers["retry-after"], answer["error"]["retry_after_seconds"]) == ("40", 40)
    assert answer["request_id"] == ""
    assert ask(x_api_key="xk_other")[0] == 200  # another key
    assert ask(x_api_key="wrong")[0] == 401


def test_the_stacks_limit_counts_where_the_project_has_none(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXEMPLAR_REQUESTS_PER_MINUTE", "2")
    new_container(2_000 * 60.0)
    assert [ask(x_api_key=KEY)[0] for _ in range(3)] == [200, 200, 429]


def test_without_the_table_known_keys_are_answered_on(
    ask: Ask, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.set_access(PROJECT, "key", 5)
    assert ask(x_api_key=KEY)[0] == 200
    monkeypatch.setenv("EXEMPLAR_TABLE", "no-such-table")
    predict.rate_limit.cache_clear()
    predict.rate_limit()._clock = lambda: 3_000 * 60.0
    assert [ask(x_api_key=KEY)[0] for _ in range(6)] == [200] * 5 + [429]


def test_a_minute_is_forgotten_an_hour_later(ask: Ask, state: State) -> None:
    state.set_access(PROJECT, "key", 1)
    new_container(4_000 * 60.0)
    ask(x_api_key=KEY)
    caller = predict.key_check().check(KEY)
    item = state.table.get((f"RATE#{PROJECT.slug}#{caller}", "MINUTE#4000"))
    assert item is not None
    assert (item["requests"], item["expires_at"]) == (1, 4_000 * 60 + 3_600)
    assert KEY not in str(item)


def test_addresses_are_fetched_where_the_owner_lets_them(ask: Ask, state: State) -> None:
    """What is inside of this network stays out of reach all the same."""
    question = {"url": "https://127.0.0.1/cat.jpg"}
    status, refused, _ = ask(question, x_api_key=KEY)
    assert status == 400
    assert "does not fetch" in refused["error"]["message"]
    assert "fetch_urls" in refused["error"]["fix"]
    state.set_access(PROJECT, "key", None, fetches_urls=True)
    status, refused, _ = ask(question, x_api_key=KEY)  # at once, by the same container
    assert status == 400
    assert "no public server" in refused["error"]["message"]


def test_a_fetched_picture_is_answered(
    ask: Ask, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a network of its own the test stands in for the other server."""
    state.set_access(PROJECT, "key", None, fetches_urls=True)
    monkeypatch.setattr("serving.fetch._public_address", lambda *_: "192.0.2.1")
    monkeypatch.setattr("serving.fetch._get", lambda *_: base64.b64decode(picture()))
    status, found, _ = ask({"url": "https://pictures.example/cat.png"}, x_api_key=KEY)
    assert (status, found["label"]) == (200, ask({}, x_api_key=KEY)[1]["label"])
