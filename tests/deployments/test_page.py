"""The page and its API under one address of the laptop, on the deployed system."""

import base64
import gzip
import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.manifest import Kind
from deployments.local.emulator import HEALTH_PATH
from deployments.local.page_address import PREFIX
from lambdas.site_files import WEB
from lambdas.state import ProjectRecord
from tests.conformance import check_answer
from tests.deployments.access_world import CATS, World, deployed, serve
from tests.emulator_process import free_port, status_of, until
from tests.lambdas.test_predict_text import NAMES, write_text_bundle

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]

ROOT = Path(__file__).parents[2]
TOPICS = Project("ann", "topics")
LINKS = {"PrefectLink": "http://127.0.0.1:4200", "MlflowLink": "http://127.0.0.1:5000"}


@contextmanager
def launcher(folder: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "deployments.local.emulator", f"--port={port}"]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen([*command, f"--state-dir={folder}"], cwd=ROOT) as process:
        try:
            until(lambda: status_of(f"{address}{HEALTH_PATH}") == 200)
            yield address
        finally:
            process.send_signal(signal.SIGTERM)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with launcher(tmp_path_factory.mktemp("empty")) as address:
        yield address


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("page")
    with (
        launcher(folder / "aws") as address,
        deployed(address, folder, "exemplar", LINKS, has_layer=True) as made,
    ):
        write_text_bundle(folder / "text")
        made.state.create_project(ProjectRecord(TOPICS, Kind.TEXT, NAMES))
        endpoint = serve(made, TOPICS, folder / "text")
        made.state.update_project(TOPICS, model_version="draft-1", endpoint=endpoint)
        own = {"authorization": f"Bearer {made.tokens['own']}"}
        url = f"{made.api}/v1/projects/{TOPICS.name}"
        chosen = {"log_requests": True}
        httpx.patch(url, json=chosen, headers=own, trust_env=False).raise_for_status()
        yield made


@pytest.fixture
def page(world: World) -> Iterator[httpx.Client]:
    """A browser at the page, without a token."""
    with httpx.Client(base_url=f"{world.address}{PREFIX}/", timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def ann(world: World, page: httpx.Client) -> httpx.Client:
    """The same as its user."""
    page.headers["authorization"] = f"Bearer {world.tokens['own']}"
    page.headers["origin"] = world.address
    return page


def picture(colour: str = "blue", side: int = 20) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def ask(client: httpx.Client, project: Project, body: Any) -> tuple[int, Any]:
    path = f"v1/projects/{project.name}/predict"
    answer = client.post(path, json=body)
    check_answer("POST", f"/{path}", answer.status_code, answer.json())
    return answer.status_code, answer.json()


def test_the_page_needs_no_token_and_its_links_are_relative(
    world: World, page: httpx.Client
) -> None:
    answer = page.get("")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.content == (WEB / "index.html").read_bytes()
    assert page.get("v1/limits").status_code == 200
    assert page.get("v1/projects").status_code == 401
    direct = f"{world.api}/"  # the API's own address serves the same
    assert httpx.get(direct, trust_env=False).content == answer.content


def test_its_folder_is_found_without_the_slash(world: World) -> None:
    answer = httpx.get(f"{world.address}{PREFIX}?a=b", trust_env=False)
    assert (answer.status_code, answer.headers["location"]) == (308, "/app/?a=b")
    assert httpx.get(f"{world.address}/apples", trust_env=False).status_code != 200


def test_browsers_ask_whether_it_has_changed(page: httpx.Client) -> None:
    first = page.get("", headers={"accept-encoding": "identity"})
    tag = first.headers["etag"]
    again = page.get("", headers={"accept-encoding": "identity", "if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "no-cache"
    assert page.get("", headers={"if-none-match": '"x"'}).status_code == 200


def test_bytes_come_through_the_gateway_as_they_are(page: httpx.Client) -> None:
    with page.stream("GET", "", headers={"accept-encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    if answer.headers.get("content-encoding") == "gzip":
        raw = gzip.decompress(raw)
    assert raw == (WEB / "index.html").read_bytes()


def test_the_policy_names_the_emulator_as_storage(world: World, page: httpx.Client) -> None:
    headers = page.get("").headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert f"connect-src 'self' {world.address};" in policy
    assert "unsafe" not in policy
    for name in ("x-content-type-options", "referrer-policy", "permissions-policy"):
        assert headers[name]
    assert headers["cross-origin-opener-policy"] == "same-origin"


@pytest.mark.parametrize(
    "path",
    [
        *("page/../lambdas/api.py", "page/%2e%2e/%2e%2e/lambdas/site.py", "page/..%2f..%2fsite.py"),
        *("page/%2e%2e%2findex.html", "page//etc/passwd", "page/%2fetc%2fpasswd", "page/%00"),
        *("page/..%5c..%5csite.py", "page/%252e%252e/index.html", "page/nothing.js"),
    ],
)
def test_no_path_leads_out_of_the_package(world: World, path: str) -> None:
    url = httpx.URL(world.address, raw_path=f"{PREFIX}/{path}".encode())  # nothing is tidied up
    with httpx.Client(trust_env=False) as client:
        answer = client.send(httpx.Request("GET", url))
    assert answer.status_code in {400, 401, 403, 404}, answer.text
    assert "import" not in answer.text
    assert "root:" not in answer.text


@pytest.mark.parametrize("path", ["page/", "page", "index.html", "serving/web/index.html"])
def test_what_is_no_file_of_the_page_is_a_call_that_needs_a_token(
    page: httpx.Client, path: str
) -> None:
    assert page.get(path).status_code in {401, 404}


def test_pages_of_others_get_nothing(page: httpx.Client) -> None:
    assert page.get("", headers={"origin": "https://evil.example"}).status_code == 403
    assert page.get("", headers={"host": "evil.example"}).status_code == 403


def test_where_nothing_is_deployed_it_says_so(empty: str) -> None:
    answer = httpx.get(f"{empty}{PREFIX}/", trust_env=False)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert "exemplar up" in answer.json()["error"]["fix"]


def test_the_account_names_where_workflows_and_experiments_are(ann: httpx.Client) -> None:
    links = ann.get("v1/account").json()["links"]
    assert links == {"prefect": LINKS["PrefectLink"], "mlflow": LINKS["MlflowLink"]}


def test_a_picture_is_answered_by_the_token_alone(world: World, ann: httpx.Client) -> None:
    status, answer = ask(ann, CATS, {"image_base64": picture(), "explain": True})
    assert status == 200, answer
    assert answer["explanation"]["map"]
    assert answer["request_id"]
    direct = httpx.post(
        world.endpoint,
        json={"image_base64": picture()},
        headers={"x-api-key": world.keys["own"]},
        trust_env=False,
        timeout=60,
    ).json()
    for same in ("label", "probabilities", "model_version"):
        assert answer[same] == direct[same]


def test_texts_are_answered_one_or_many(ann: httpx.Client) -> None:
    status, answer = ask(ann, TOPICS, {"text": "the goal in the second half won the match"})
    assert (status, answer["label"] in {*NAMES, None}) == (200, True), answer
    status, answer = ask(ann, TOPICS, {"text": ["rain and wind", "soup and bread"]})
    assert (status, len(answer["predictions"])) == (200, 2)
    escaped = b'{"text": "half of a \\ud83d", "explain": "true"}'
    path = f"v1/projects/{TOPICS.name}/predict"
    halved = ann.post(path, content=escaped, headers={"content-type": "application/json"})
    assert halved.status_code == 200, halved.text


@pytest.mark.parametrize(
    ("project", "body", "status", "code"),
    [
        (CATS, {"image_base64": "AAAA"}, 422, "unreadable_example"),
        (CATS, {"image_base64": "§"}, 400, "invalid_request"),
        (CATS, {"text": "a"}, 400, "invalid_request"),
        (CATS, {"image_base64": picture(), "explain": "perhaps"}, 400, "invalid_request"),
        (CATS, {"image_base64": picture(), "explain": True, "class": "cow"}, None, None),
        (CATS, {"image_base64": picture(), "requestContext": {}}, 400, "invalid_request"),
        (CATS, {"image_base64": "A" * 5_300_000}, 413, "limit_exceeded"),
        (CATS, {"image_base64": "A" * 5_200_000}, 422, "unreadable_example"),
        (TOPICS, {"text": ["a"] * 101}, 413, "limit_exceeded"),
        (TOPICS, {"text": ""}, 400, "invalid_request"),
        (Project("ann", "nothing"), {"text": "a"}, 404, "not_found"),
        (Project("bob", "dogs"), {"image_base64": picture()}, 404, "not_found"),
    ],
)
def test_what_cannot_be_answered_has_the_status_that_the_endpoint_would_give(
    ann: httpx.Client, project: Project, body: Any, status: int | None, code: str | None
) -> None:
    found, answer = ask(ann, project, body)
    assert found == status or (status is None and 400 <= found < 500), answer
    assert answer["error"]["code"] == code or code is None
    assert answer["error"]["fix"]


def test_it_is_counted_and_kept_as_any_request(world: World, ann: httpx.Client) -> None:
    usage = f"v1/projects/{TOPICS.name}/usage"
    before = requests_in(ann.get(usage).json())
    _, answer = ask(ann, TOPICS, {"text": "kept for a while"})
    key = ProjectKeys(TOPICS).request(datetime.now(UTC).date().isoformat(), answer["request_id"])
    stored = world.session.client("s3").get_object(Bucket=world.outputs.bucket, Key=key)
    kept = json.load(stored["Body"])
    assert kept["example"] == {"text": "kept for a while"}
    assert kept["label"] == answer["label"]
    until(lambda: requests_in(ann.get(usage).json()) > before)


def requests_in(usage: dict[str, Any]) -> int:
    return int(usage["total"]["requests"])
