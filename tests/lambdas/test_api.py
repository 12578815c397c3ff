"""The control API against real storage and state."""

import hashlib
from typing import Any

import httpx
import pytest

from contracts.identity import Project
from contracts.manifest import Kind
from contracts.status import Job
from lambdas import environment
from lambdas.state import ProjectRecord

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 100


def announced(name: str, content: bytes, label: str = "cat") -> dict[str, Any]:
    return {
        "class": label,
        "name": name,
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "content_type": "image/png",
    }


@pytest.fixture
def project(call: Any, request: pytest.FixtureRequest) -> str:
    name = "p-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]
    body = {"name": name, "kind": "image", "classes": ["cat", "dog"]}
    assert call("POST", "/v1/projects", body)[0] == 201
    return name


def test_creating_a_project_twice_is_harmless_and_shows_the_key_once(call: Any) -> None:
    body = {"name": "twice", "kind": "image", "classes": ["cat", "dog"]}
    status, first = call("POST", "/v1/projects", body)
    assert (status, first["key"][:3]) == (201, "xk_")
    status, second = call("POST", "/v1/projects", body)
    assert status == 200
    assert "key" not in second
    assert second["created_at"] == first["created_at"]


def test_other_classes_for_an_existing_project_are_refused(call: Any, project: str) -> None:
    body = {"name": project, "kind": "image", "classes": ["cat", "bird"]}
    status, answer = call("POST", "/v1/projects", body)
    assert (status, answer["error"]["code"]) == (409, "conflict")
    assert "PATCH" in answer["error"]["fix"]
    status, answer = call("PATCH", f"/v1/projects/{project}", {"classes": ["cat", "bird"]})
    assert (status, answer["classes"]) == (200, ["cat", "bird"])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"name": "My Cat", "kind": "image", "classes": ["a", "b"]}, "may hold only a-z"),
        ({"name": "../x", "kind": "image", "classes": ["a", "b"]}, "may hold only a-z"),
        ({"name": "x", "kind": "video", "classes": ["a", "b"]}, "kind"),
        ({"name": "x", "kind": "image", "classes": ["a"]}, "1 classes given"),
        ({"name": "x", "kind": "image", "classes": ["a", " a"]}, "named twice"),
        ({"name": "x", "kind": "image", "classes": ["a", "b\u202e"]}, "invisible character"),
        ({"name": "x", "kind": "image"}, "0 classes given"),
        ({"name": "x", "kind": "image", "classes": [], "user": "bob"}, "'user' is unknown"),
        ("{", "no JSON"),
        ([], "no JSON"),
    ],
)
def test_bad_bodies_get_a_reason(call: Any, body: Any, message: str) -> None:
    status, answer = call("POST", "/v1/projects", body)
    assert status == 400
    assert message in answer["error"]["message"]
    assert answer["error"]["fix"] or "JSON" in message


def test_an_unknown_project_is_404_never_200(call: Any) -> None:
    for method, path in [
        ("GET", "/v1/projects/nothing"),
        ("POST", "/v1/projects/nothing/uploads"),
        ("POST", "/v1/projects/nothing/key"),
        ("GET", "/v1/projects/nothing/jobs"),
        ("GET", "/v1/projects/nothing/jobs/abc"),
        ("GET", "/v1/projects/nothing/bundle"),
        ("GET", "/v1/nothing"),
    ]:
        status, answer = call(method, path, {"files": [announced("a", PNG)]})
        assert (status, answer["error"]["code"]) == (404, "not_found"), path


def test_another_users_project_does_not_exist_for_me(call: Any, project: str) -> None:
    assert call("GET", f"/v1/projects/{project}", user="ann")[0] == 200
    assert call("GET", f"/v1/projects/{project}", user="bob")[0] == 404
    names = [p["project"] for p in call("GET", "/v1/projects", user="bob")[1]["projects"]]
    assert project not in names


def test_an_upload_goes_to_its_hash_once(call: Any, project: str, emulator: Any) -> None:
    files = [announced(f"{i}.png", PNG + bytes([i])) for i in range(3)]
    status, answer = call("POST", f"/v1/projects/{project}/uploads", {"files": files})
    assert (status, answer["stored"], len(answer["posts"])) == (200, 0, 3)
    send(answer["posts"][0], files, {i: PNG + bytes([i]) for i in range(3)})
    again = call("POST", f"/v1/projects/{project}/uploads", {"files": files})[1]
    assert again["upload"] == answer["upload"]
    assert (again["stored"], len(again["posts"])) == (1, 2)


def send(post: dict[str, Any], files: list[dict[str, Any]], contents: dict[int, bytes]) -> int:
    index = [f["sha256"] for f in files].index(post["sha256"])
    answer = httpx.post(post["url"], data=post["fields"], files={"file": contents[index]})
    return answer.status_code


def test_a_presigned_post_takes_no_other_size_or_key(call: Any, project: str) -> None:
    file = announced("a.png", PNG)
    body = {"files": [file]}
    post = call("POST", f"/v1/projects/{project}/uploads", body)[1]["posts"][0]
    too_long = httpx.post(post["url"], data=post["fields"], files={"file": PNG + b"1"})
    assert too_long.status_code == 400
    stolen = post["fields"] | {"key": "users/bob/other/objects/" + file["sha256"]}
    assert httpx.post(post["url"], data=stolen, files={"file": PNG}).status_code == 403
    other_type = post["fields"] | {"Content-Type": "text/html"}
    assert httpx.post(post["url"], data=other_type, files={"file": PNG}).status_code == 403


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"class": "../../etc"}, 400),
        ({"class": "bird"}, 400),
        ({"sha256": "../../secret"}, 400),
        ({"sha256": "A" * 64}, 400),
        ({"size_bytes": 0}, 400),
        ({"size_bytes": True}, 400),
        ({"size_bytes": 21 * 2**20}, 413),
        ({"content_type": "image/svg+xml"}, 400),
        ({"split": "validation"}, 400),
        ({"name": ""}, 400),
        ({"name": "x" * 513}, 400),
        ({"path": "/etc/passwd"}, 400),
    ],
)
def test_hostile_announcements(call: Any, project: str, change: Any, status: int) -> None:
    file = announced("a.png", PNG) | change
    got, answer = call("POST", f"/v1/projects/{project}/uploads", {"files": [file]})
    assert got == status, answer
    assert answer["error"]["message"]
    assert answer["error"]["fix"]


def test_a_path_as_file_name_stays_data(call: Any, project: str, emulator: Any) -> None:
    body = {"files": [announced("../../../etc/passwd", PNG)]}
    status, answer = call("POST", f"/v1/projects/{project}/uploads", body)
    assert status == 200
    key = answer["posts"][0]["fields"]["key"]
    assert key == f"users/ann/{project}/objects/{hashlib.sha256(PNG).hexdigest()}"


def test_more_stored_objects_than_one_listing_page(
    call: Any, project: str, emulator: Any, data_bucket: str
) -> None:
    contents = [PNG + i.to_bytes(2, "big") for i in range(1_200)]
    files = sorted((announced(f"{i}", c) for i, c in enumerate(contents)), key=sha)
    s3 = emulator.client("s3")
    for file in files[:1_100]:
        s3.put_object(
            Bucket=data_bucket, Key=f"users/ann/{project}/objects/{file['sha256']}", Body=b"x"
        )
    missing = 0
    for start in range(0, len(files), 600):
        body = {"upload": "many", "files": files[start : start + 600]}
        answer = call("POST", f"/v1/projects/{project}/uploads", body)[1]
        missing += len(answer["posts"])
    assert missing == 100


def sha(file: dict[str, Any]) -> str:
    return str(file["sha256"])


def test_the_call_fails_with_a_form_not_a_traceback(
    call: Any, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXEMPLAR_BUCKET", "no-such-bucket")
    body = {"files": [announced("a", PNG)]}
    status, answer = call("POST", f"/v1/projects/{project}/uploads", body)
    assert status == 500
    assert set(answer["error"]) == {"code", "message", "fix"}
    assert "Traceback" not in str(answer)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"approve": True}, 409),  # nothing waits
        ({"approve": "yes"}, 400),
        ({"note": "fine"}, 400),
        ({"approve": True, "note": "x" * 501}, 400),
        ({"approve": True, "by": "the boss"}, 400),
    ],
)
def test_only_a_waiting_job_takes_an_answer(call: Any, body: Any, status: int) -> None:
    project = Project("ann", "asked")
    environment.state().create_project(ProjectRecord(project, Kind.IMAGE, ("cat", "dog")))
    environment.state().create_job(Job(project, "j1", "u1"))
    assert call("POST", "/v1/projects/asked/jobs/j1/approval", body)[0] == status
    assert call("POST", "/v1/projects/asked/jobs/j1/approval", body, user="eve")[0] in {400, 404}


def test_settings_are_changed_one_by_one(call: Any) -> None:
    project = Project("ann", "tuned")
    environment.state().create_project(ProjectRecord(project, Kind.IMAGE, ("cat", "dog")))
    status, answer = call("PATCH", "/v1/projects/tuned", {"approval": True})
    assert (status, answer["settings"]["approval"]) == (200, True)
    assert answer["classes"] == ["cat", "dog"]
    assert call("PATCH", "/v1/projects/tuned", {"approval": "on"})[0] == 400
    assert call("PATCH", "/v1/projects/tuned", {})[0] == 400
    assert call("PATCH", "/v1/projects/tuned", {"user": "eve"})[0] == 400
    assert environment.state().project(project).settings == {"approval": True}
