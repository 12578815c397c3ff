import base64
import io
import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from contracts.bundle import MODEL_FILE
from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.manifest import Kind
from lambdas import predict
from lambdas.function_url import FORWARDED
from lambdas.state import ProjectRecord, State
from models.bundle_writer import write_bundle
from tests.conformance import check_answer
from tests.serving.conftest import colour_card, colour_graph

PROJECT = Project("ada", "colours")
KEY = "xk_right"
Post = Callable[..., tuple[int, dict[str, Any]]]


def painted(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), colour).save(buffer, "PNG")
    return buffer.getvalue()


class Context:
    aws_request_id = "request-7"
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:exemplar-infer_ada:live"


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bundle"
    write_bundle(folder, colour_card(rejection_threshold=-0.5), colour_graph())
    monkeypatch.setattr(predict, "BUNDLE", folder)
    return folder


@pytest.fixture
def post(
    bundle: Path, emulator: Any, state_table: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Post]:
    monkeypatch.setenv("EXEMPLAR_USER", PROJECT.user)
    monkeypatch.setenv("EXEMPLAR_PROJECT", PROJECT.name)
    state = State(emulator.client("dynamodb"), state_table)
    state.table.delete((f"PROJECT#{PROJECT.slug}", "KEYS"))
    state.create_project(ProjectRecord(PROJECT, Kind.IMAGE, ("a", "b")))
    state.put_key(PROJECT, KEY)
    caches = (predict.predictor, predict.key_check, predict.request_log)
    caches += (predict._table, predict._bucket)
    for cached in caches:
        cached.cache_clear()

    def call(
        body: bytes = b"",
        method: str = "POST",
        path: str = "/",
        query: dict[str, str] | None = None,
        **headers: str,
    ) -> tuple[int, dict[str, Any]]:
        event = {
            "requestContext": {"http": {"method": method}},
            "rawPath": path,
            "headers": {name.replace("_", "-"): value for name, value in headers.items()},
            "body": base64.b64encode(body).decode(),
            "isBase64Encoded": True,
        } | ({"queryStringParameters": query} if query else {})
        answer = predict.handler(event, Context())
        found = json.loads(answer["body"])
        check_answer(method, path, answer["statusCode"], found)
        return answer["statusCode"], found

    yield call
    for cached in caches:
        cached.cache_clear()


def test_a_picture_with_a_key_is_answered(post: Post) -> None:
    status, answer = post(painted("blue"), x_api_key=KEY)
    assert status == 200
    assert answer["label"] == "🔵"
    assert list(answer["probabilities"]) == ["rot", "grün", "🔵"]
    assert answer["model_version"].startswith("draft-")
    assert answer["request_id"] == "request-7"


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(record.message) for record in caplog.records if "{" in record.message]


def test_each_request_logs_a_line_without_what_was_asked_or_by_whom(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    _, answer = post(painted("blue"), x_api_key=KEY)
    post(painted("grey"), query={"explain": "true"}, x_api_key=KEY)
    post(painted("blue"), x_api_key="xk_wrong")
    post(method="GET")
    asked, strange, refused, health = lines(caplog)
    assert (asked["status"], asked["label"], asked["examples"]) == (200, "🔵", 1)
    assert asked["confidence"] == pytest.approx(answer["probabilities"]["🔵"], abs=1e-4)
    assert asked["model_version"] == answer["model_version"]
    assert asked["ms"] > 0
    assert (strange["label"], strange["explained"]) == (None, True)
    assert (refused["status"], refused["examples"]) == (401, 0)
    assert health["examples"] == 0
    assert KEY not in caplog.text
    assert "xk_wrong" not in caplog.text


def test_the_first_request_of_a_container_says_so(
    post: Post, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "_calls", itertools.count())
    for _ in range(2):
        post(painted("blue"), x_api_key=KEY)
    assert [line.get("cold", False) for line in lines(caplog)] == [True, False]


def test_a_release_that_tries_a_version_is_told_from_use(
    post: Post, emulator: Any, state_table: str, caplog: pytest.LogCaptureFixture
) -> None:
    State(emulator.client("dynamodb"), state_table).add_key(PROJECT, "xk_smoke_1")
    post(painted("blue"), x_api_key="xk_smoke_1")
    event = {"image_base64": base64.b64encode(painted("lime")).decode()}
    predict.handler(event, Context())
    numbered = SimpleNamespace(
        aws_request_id="r-8", invoked_function_arn=Context.invoked_function_arn[:-4] + "12"
    )
    predict.handler(event, numbered)
    predict.handler(event | {FORWARDED: True}, numbered)
    found = [line.get("trial", False) for line in lines(caplog)]
    assert found == [True, False, True, False]


def kept(emulator: Any, data_bucket: str) -> list[str]:
    listed = emulator.client("s3").list_objects_v2(
        Bucket=data_bucket, Prefix=ProjectKeys(PROJECT).prefix + "requests/"
    )
    return [entry["Key"] for entry in listed.get("Contents", [])]


def test_requests_are_kept_only_where_the_owner_has_chosen_so(
    post: Post, emulator: Any, state_table: str, data_bucket: str
) -> None:
    state, s3 = State(emulator.client("dynamodb"), state_table), emulator.client("s3")
    assert post(painted("blue"), x_api_key=KEY)[0] == 200
    assert kept(emulator, data_bucket) == []
    state.put_log_share(PROJECT, 1.0)
    predict.key_check.cache_clear()  # a minute later
    predict.request_log.cache_clear()
    _, answer = post(painted("blue"), x_api_key=KEY)
    (key,) = kept(emulator, data_bucket)
    document = json.load(s3.get_object(Bucket=data_bucket, Key=key)["Body"])
    assert document["content_type"] == "image/png"
    assert base64.b64decode(document["example"]["image_base64"]) == painted("blue")
    assert {name: document[name] for name in answer} == answer
    tags = s3.get_object_tagging(Bucket=data_bucket, Key=key)["TagSet"]
    assert tags == [{"Key": "expires", "Value": "request"}]
    # A new key leaves the choice as it is.
    state.put_key(PROJECT, "xk_new")
    predict.key_check.cache_clear()
    predict.request_log.cache_clear()
    s3.delete_object(Bucket=data_bucket, Key=key)
    assert post(painted("blue"), x_api_key="xk_new")[0] == 200
    assert len(kept(emulator, data_bucket)) == 1


def test_what_cannot_be_kept_is_answered_all_the_same(
    post: Post, emulator: Any, state_table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    State(emulator.client("dynamodb"), state_table).put_log_share(PROJECT, 1.0)
    monkeypatch.setenv("EXEMPLAR_BUCKET", "a-bucket-that-is-gone")
    assert post(painted("blue"), x_api_key=KEY)[1]["label"] == "🔵"


def striped() -> bytes:
    """Blue on the right, else black."""
    image = Image.new("RGB", (60, 20))
    image.paste("blue", (28, 0, 60, 20))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_an_explanation_comes_with_the_answer_when_asked_for(post: Post) -> None:
    _, plain = post(striped(), x_api_key=KEY)
    status, answer = post(striped(), query={"explain": "true"}, x_api_key=KEY)
    explanation = answer.pop("explanation")
    assert (status, answer) == (200, plain)
    assert explanation["class"] == plain["label"] == "🔵"
    assert explanation["probability"] == plain["probabilities"]["🔵"]
    assert explanation["probability_without"] < explanation["probability"]
    assert explanation["box"] == [0.3333, 0, 0.6667, 1]
    rows = explanation["map"]
    assert {len(row) for row in rows} == {len(rows)}
    assert all(0 <= value <= 1 for row in rows for value in row)
    assert max(row[0] for row in rows) < max(map(max, rows))


@pytest.mark.parametrize("ask", [{"explain": True, "class": "grün"}, {"explain": "1"}])
def test_json_may_ask_for_an_explanation(post: Post, ask: dict[str, Any]) -> None:
    document = {"image_base64": base64.b64encode(painted("lime")).decode()} | ask
    direct = predict.handler(document, Context())
    over_http = post(json.dumps(document).encode(), content_type="application/json", x_api_key=KEY)
    assert direct["explanation"] == over_http[1]["explanation"]
    assert direct["explanation"]["class"] == "grün"


@pytest.mark.parametrize(
    "query",
    [{"explain": "maybe"}, {"explain": ""}, {"explain": "true", "class": "<b>"}],
    ids=str,
)
def test_a_nonsensical_wish_is_refused_with_a_fix(post: Post, query: dict[str, str]) -> None:
    status, answer = post(painted("blue"), query=query, x_api_key=KEY)
    assert (status, answer["error"]["code"]) == (400, "invalid_request")
    assert answer["error"]["fix"]


@pytest.mark.parametrize(
    ("query", "more"),
    [
        ({}, {"explain": 0}),
        ({}, {"explain": None}),
        ({}, {"explain": ["true"]}),
        ({}, {"class": 3}),
        ({"explain": "x"}, {"explain": True}),
    ],
    ids=str,
)
def test_a_wrong_wish_is_told_wherever_it_stands(
    post: Post, query: dict[str, str], more: dict[str, Any]
) -> None:
    document = {"image_base64": base64.b64encode(painted("lime")).decode()} | more
    body = json.dumps(document).encode()
    status, _ = post(body, query=query, content_type="application/json", x_api_key=KEY)
    assert status == 400


@pytest.mark.parametrize("query", [{"explain": "false"}, {"explain": "0"}, {"class": "x"}], ids=str)
def test_unless_asked_for_nothing_is_explained(post: Post, query: dict[str, str]) -> None:
    assert post(painted("red"), query=query, x_api_key=KEY) == post(painted("red"), x_api_key=KEY)


def test_a_bearer_token_does_as_well(post: Post) -> None:
    assert post(painted("red"), Authorization=f"Bearer {KEY}")[1]["label"] == "rot"


def test_none_of_the_classes_has_no_label(post: Post) -> None:
    status, answer = post(painted("grey"), x_api_key=KEY)
    assert (status, answer["label"]) == (200, None)


@pytest.mark.parametrize(
    "headers", [{}, {"x_api_key": "wrong"}, {"Authorization": f"Basic {KEY}"}], ids=str
)
def test_without_the_key_nothing_is_answered(post: Post, headers: dict[str, str]) -> None:
    status, answer = post(painted("blue"), **headers)
    assert status == 401
    assert answer["error"]["code"] == "unauthorized"
    assert "label" not in answer


def test_another_projects_key_does_not_open_it(post: Post, emulator: Any, state_table: str) -> None:
    State(emulator.client("dynamodb"), state_table).add_key(Project("eve", "colours"), "xk_eve")
    assert post(painted("blue"), x_api_key="xk_eve")[0] == 401


@pytest.mark.parametrize(("body", "status"), [(b"", 400), (b"no picture", 422)])
def test_errors_have_a_status_and_say_what_to_do(post: Post, body: bytes, status: int) -> None:
    given, answer = post(body, x_api_key=KEY)
    assert given == status
    assert answer["error"]["fix"]
    assert answer["model_version"]
    assert answer["request_id"]


@pytest.mark.parametrize("path", ["/", "/health"])
def test_health_needs_no_key(post: Post, path: str) -> None:
    status, answer = post(method="GET", path=path)
    assert (status, answer["status"]) == (200, "ok")
    assert answer["model_version"]


def test_a_direct_call_gets_the_bare_answer(post: Post) -> None:
    event = {"image_base64": base64.b64encode(painted("lime")).decode()}
    assert predict.handler(event, Context())["label"] == "grün"


def test_a_broken_bundle_is_an_error_not_a_trace(post: Post, bundle: Path) -> None:
    (bundle / MODEL_FILE).write_bytes(b"broken")
    status, answer = post(painted("blue"), x_api_key=KEY)
    assert (status, answer["error"]["code"]) == (500, "bundle_invalid")
    assert "Traceback" not in json.dumps(answer)


def test_the_unexpected_is_hidden_from_the_caller(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(event: object, kind: object) -> bytes:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(predict, "question_of", fail)
    status, answer = post(painted("blue"), x_api_key=KEY)
    assert status == 500
    assert "secret" not in json.dumps(answer)


@pytest.mark.parametrize("key", ["\ud800", "xk_é", "\0", "x" * 100_000])
def test_a_key_of_any_characters_is_only_wrong(post: Post, key: str) -> None:
    assert post(painted("blue"), x_api_key=key)[0] == 401


@pytest.mark.parametrize(
    "event", [None, 0, "text", [], [{"image_base64": ""}], {"requestContext": "http"}, {}], ids=str
)
def test_an_event_of_another_form_is_refused_with_a_fix(post: Post, event: Any) -> None:
    answer = predict.handler(event, Context())
    error = json.loads(answer["body"])["error"] if "body" in answer else answer["error"]
    assert error["code"] == "invalid_request"
    assert error["fix"]


def test_half_a_surrogate_pair_does_not_come_back(post: Post) -> None:
    """No answer that holds one could be encoded."""
    status, answer = post(painted("blue"), query={"explain": "1", "class": "\ud83d"}, x_api_key=KEY)
    assert status == 400
    json.dumps(answer, ensure_ascii=False).encode()
    event = {"requestContext": {}, "headers": {"x-api-key": KEY, "content-type": "\ud800"}}
    predict.handler(event | {"body": "\ud800"}, Context())["body"].encode()


def test_importing_loads_nothing_heavy() -> None:
    program = (
        "import sys, lambdas.predict; heavy = {'boto3', 'torch', 'sklearn', 'scipy', 'onnx', "
        "'httpx', 'pydantic', 'prefect', 'mlflow'} & set(sys.modules); assert not heavy, heavy; "
        "assert 'serving.explanation' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
