"""Right labels over the API: stored, listed, taken back, refused, and what they set off."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from contracts.identity import Project
from contracts.keys import ProjectKeys
from lambdas import environment
from lambdas.retraining import watched_projects

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 100


def encoded(content: bytes = PNG) -> str:
    return base64.b64encode(content).decode()


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def project(call: Any, request: pytest.FixtureRequest) -> str:
    name = "f-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]
    body = {"name": name, "kind": "image", "classes": ["cat", "dog"]}
    assert call("POST", "/v1/projects", body)[0] == 201
    return name


@pytest.fixture
def texts(call: Any, request: pytest.FixtureRequest) -> str:
    name = "t-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]
    assert call("POST", "/v1/projects", {"name": name, "kind": "text"})[0] == 201
    return name


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What Prefect was sent; it answers as Prefect does."""
    sent: list[Any] = []

    class Server(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sent.append((self.path, json.loads(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{server.server_port}/api")
    yield sent
    server.shutdown()
    server.server_close()
    thread.join()


def path(project: str, rest: str = "") -> str:
    return f"/v1/projects/{project}/feedback{rest}"


def put_object(project: str, content: bytes, name: str = "") -> str:
    key = ProjectKeys(Project("ann", project)).object(name or sha(content))
    environment.s3().put_object(Bucket=environment.bucket(), Key=key, Body=content)
    return name or sha(content)


def test_a_picture_is_stored_once_and_its_label_can_change(call: Any, project: str) -> None:
    body = {"label": "cat", "image_base64": encoded(), "answered": "dog", "model_version": "m-1"}
    status, first = call("POST", path(project), body)
    assert (status, first["feedback"], first["new"], first["stored"]) == (201, 1, 1, True)
    assert first["sha256"] == sha(PNG)
    key = ProjectKeys(Project("ann", project)).object(sha(PNG))
    stored = environment.s3().get_object(Bucket=environment.bucket(), Key=key)
    assert stored["Body"].read() == PNG
    assert call("POST", path(project), body) == (200, first)
    status, changed = call("POST", path(project), body | {"label": "dog"})
    assert (status, changed["feedback"], changed["new"], changed["label"]) == (201, 1, 1, "dog")
    (listed,) = call("GET", path(project))[1]["examples"]
    assert (listed["label"], listed["answered"], listed["model_version"]) == ("dog", "dog", "m-1")


def test_a_stored_object_is_looked_at(call: Any, project: str) -> None:
    body = {"label": "cat", "sha256": put_object(project, PNG)}
    assert call("POST", path(project), body)[0] == 201
    for content, said in ((b"<svg onload=alert(1)>", "no picture"), (b"", "the file is empty")):
        name = put_object(project, content)
        status, answer = call("POST", path(project), {"label": "cat", "sha256": name})
        assert (status, said in answer["error"]["message"]) == (400, True)
    assert call("GET", path(project))[1]["feedback"] == 1


def test_a_picture_that_is_not_there_yet_is_sent_straight_to_storage(
    call: Any, project: str
) -> None:
    body = {"label": "cat", "sha256": sha(PNG)}
    status, answer = call("POST", path(project), body)
    assert (status, "size_bytes" in answer["error"]["fix"]) == (404, True)
    announced = body | {"size_bytes": len(PNG), "content_type": "image/png"}
    assert call("POST", path(project), announced | {"content_type": "text/html"})[0] == 404
    status, answer = call("POST", path(project), announced)
    assert (status, answer["stored"], answer["feedback"]) == (202, False, 0)
    post = answer["post"]
    sent = httpx.post(post["url"], data=post["fields"], files={"file": PNG})
    assert sent.status_code == 204
    assert call("POST", path(project), announced)[1]["stored"] is True


def keep_request(project: str, day: str, content: dict[str, Any]) -> None:
    key = ProjectKeys(Project("ann", project)).request(day, content["request_id"])
    body = json.dumps(content).encode()
    environment.s3().put_object(Bucket=environment.bucket(), Key=key, Body=body)


def test_a_kept_request_is_found_on_its_day_or_in_the_last_month(call: Any, project: str) -> None:
    kept = {"at": 0, "content_type": "image/png", "label": "dog", "model_version": "m-7"}
    last_week = (datetime.now(UTC) - timedelta(days=7)).date().isoformat()
    for number, day in enumerate([last_week, "2020-02-29"]):
        example = {"image_base64": encoded(PNG + bytes([number]))}
        keep_request(project, day, kept | {"request_id": f"r-{number}", "example": example})
    status, answer = call("POST", path(project), {"label": "cat", "request_id": "r-0"})
    assert (status, answer["sha256"]) == (201, sha(PNG + b"\0"))
    status, answer = call("POST", path(project), {"label": "cat", "request_id": "r-1"})
    assert (status, "log_requests" in answer["error"]["fix"]) == (404, True)
    body = {"label": "cat", "request_id": "r-1", "day": "2020-02-29"}
    assert call("POST", path(project), body)[0] == 201
    (newest, _) = call("GET", path(project))[1]["examples"]
    assert (newest["answered"], newest["model_version"]) == ("dog", "m-7")
    assert newest["request_id"] == "r-1"
    assert call("POST", path(project), body | {"day": "../../bob"})[0] == 400


def test_a_kept_request_without_its_example_says_so(call: Any, project: str) -> None:
    keep_request(project, "2026-01-01", {"request_id": "bare", "label": "dog"})
    body = {"label": "cat", "request_id": "bare", "day": "2026-01-01"}
    status, answer = call("POST", path(project), body)
    assert (status, "without its example" in answer["error"]["message"]) == (404, True)


def test_texts_may_name_new_classes_where_labels_make_them(call: Any, texts: str) -> None:
    body = {"label": "spam", "text": "win a prize " * 100}
    status, answer = call("POST", path(texts), body)
    assert (status, answer["feedback"]) == (201, 1)
    (shown,) = call("GET", path(texts))[1]["examples"]
    assert (len(shown["text"]), shown["size_bytes"]) == (300, 1_199)
    status, answer = call("POST", path(texts), body | {"label": "=1+1"})
    assert (status, "formula" in answer["error"]["message"]) == (400, True)


def test_an_unknown_class_is_refused_with_those_that_exist(call: Any, project: str) -> None:
    status, answer = call("POST", path(project), {"label": "bird", "image_base64": encoded()})
    assert (status, "['cat', 'dog']" in answer["error"]["fix"]) == (400, True)


def test_labels_are_listed_in_pages_and_taken_back(call: Any, project: str) -> None:
    contents = [PNG + bytes([i]) for i in range(5)]
    for content in contents:
        call("POST", path(project), {"label": "cat", "image_base64": encoded(content)})
    first = call("GET", path(project, "?limit=3"))[1]
    second = call("GET", path(project, f"?limit=3&before={first['next']}"))[1]
    seen = [one["sha256"] for one in first["examples"] + second["examples"]]
    assert seen == [sha(content) for content in reversed(contents)]
    assert second["next"] is None
    status, left = call("DELETE", path(project, f"/{sha(contents[0])}"))
    assert (status, left) == (200, {"feedback": 4, "new": 4})
    assert call("DELETE", path(project, f"/{sha(contents[0])}"))[0] == 404
    for wrong in ("?limit=0", "?limit=101", "?limit=x", "?before=-1", "?before=٣"):
        assert call("GET", path(project, wrong))[0] == 400


def test_other_peoples_projects_take_no_feedback(call: Any, project: str) -> None:
    call("POST", path(project), {"label": "cat", "image_base64": encoded()})
    body = {"label": "cat", "sha256": sha(PNG)}
    for method, rest in (("POST", ""), ("GET", ""), ("DELETE", f"/{sha(PNG)}")):
        assert call(method, path(project, rest), body, user="bob")[0] == 404
    bobs = {"name": project, "kind": "image", "classes": ["cat", "dog"]}
    assert call("POST", "/v1/projects", bobs, user="bob")[0] == 201
    # What ann has stored is nothing that bob can name.
    assert call("POST", path(project), body, user="bob")[0] == 404


def test_enough_new_labels_ask_for_one_training(call: Any, project: str, events: list[Any]) -> None:
    wanted = {"retrain": {"after_new_examples": 3}}
    assert call("PATCH", f"/v1/projects/{project}", wanted)[0] == 200
    asked = []
    for number in range(5):
        body = {"label": "cat", "image_base64": encoded(PNG + bytes([number]))}
        asked.append(call("POST", path(project), body)[1]["training"])
    assert asked == [False, False, True, False, False]
    ((address, [event]),) = events
    assert (address, event["event"]) == ("/api/events", "exemplar.project.labelled")
    assert event["resource"]["prefect.resource.id"] == f"exemplar.project.ann_{project}"
    assert event["payload"] == {"user": "ann", "project": project, "reason": "labelled", "new": 3}


def test_a_label_is_kept_though_prefect_is_down(call: Any, project: str) -> None:
    call("PATCH", f"/v1/projects/{project}", {"retrain": {"after_new_examples": 1}})
    status, answer = call("POST", path(project), {"label": "cat", "image_base64": encoded()})
    assert (status, answer["stored"], answer["training"]) == (201, True, False)


def test_projects_that_train_by_themselves_are_looked_at(call: Any, project: str) -> None:
    me = Project("ann", project)

    def is_watched(settings: dict[str, Any]) -> bool:
        assert call("PATCH", f"/v1/projects/{project}", settings)[0] == 200
        return me in watched_projects(environment.state().table)

    assert not is_watched({"approval": True})
    assert is_watched({"retrain": {"every_days": 30}})
    assert is_watched({"approval": False})
    assert not is_watched({"retrain": {"on_drift": True}})
    assert is_watched({"retrain": {"after_new_examples": 5}})
    assert not is_watched({"retrain": {}})
