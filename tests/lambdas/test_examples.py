"""Looking at and changing what the next training learns from, by the calls that the page makes."""

import hashlib
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from botocore.exceptions import ClientError

from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.limits import Limits
from contracts.manifest import Kind
from lambdas import collection as collection_module
from lambdas import environment, uploads
from lambdas.collection import Collection
from lambdas.feedback import Feedback, FeedbackLog
from lambdas.leases import EXAMPLES, exclusive
from lambdas.state import ProjectRecord


@pytest.fixture
def project(request: pytest.FixtureRequest) -> Project:
    """Of pictures of cats, dogs and emus."""
    name = "e-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]
    found = Project("ann", name)
    environment.state().create_project(ProjectRecord(found, Kind.IMAGE, ("cat", "dog", "emu")))
    return found


def at(project: Project, rest: str = "/examples") -> str:
    return f"/v1/projects/{project.name}{rest}"


def sha(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def file(content: str, label: str = "cat", name: str = "") -> dict[str, Any]:
    return {
        "class": label,
        "name": name or f"{content}.png",
        "size_bytes": len(content),
        "sha256": sha(content),
        "content_type": "image/png",
    }


def announce(call: Any, project: Project, upload: str, *files: dict[str, Any]) -> Any:
    body = {"upload": upload, "files": list(files)}
    status, found = call("POST", at(project, "/uploads"), body)
    assert status == 200, found
    return found


def send(found: Any, *contents: str) -> None:
    """Where the answer says."""
    by_hash = {sha(content): content.encode() for content in contents}
    for post in found["posts"]:
        content = {"file": by_hash[post["sha256"]]}
        assert httpx.post(post["url"], data=post["fields"], files=content).status_code < 300


def change(call: Any, project: Project, **body: Any) -> dict[str, int]:
    status, found = call("PATCH", at(project), body)
    assert status == 200, found
    return counts(found)


def counts(found: Any) -> dict[str, int]:
    return {count["name"]: count["examples"] for count in found["classes"]}


def listed(call: Any, project: Project, query: str = "") -> Any:
    status, found = call("GET", at(project) + query)
    assert status == 200, found
    return found


def names(found: Any) -> list[tuple[str, str]]:
    return [(one["name"], one["class"]) for one in found["files"]]


def parts(project: Project) -> list[str]:
    return uploads.parts(environment.s3(), environment.bucket(), project, "examples")


def upload_of(project: Project) -> str:
    return environment.state().project(project).last_upload


def test_an_empty_project_shows_its_classes(call: Any, project: Project) -> None:
    found = listed(call, project, "?missing=true")
    assert found == {
        "upload": "",
        "kind": "image",
        "total": 0,
        "classes": [
            {"name": name, "examples": 0, "size_bytes": 0} for name in ("cat", "dog", "emu")
        ],
        "files": [],
        "next": None,
        "missing": [],
        "missing_total": 0,
    }
    assert change(call, project, add_class="gnu") == {"cat": 0, "dog": 0, "emu": 0, "gnu": 0}
    assert upload_of(project) == ""


def test_what_was_announced_is_listed_by_class_in_pages(call: Any, project: Project) -> None:
    files = [file(f"c{number}", "cat", f"{number}.png") for number in range(5)]
    again = file("c0", "cat", "9.png")  # the same picture under another name
    found = announce(call, project, "examples", *files, again, file("d", "dog"))
    send(found, *(f"c{number}" for number in range(5)), "d")
    assert upload_of(project) == "examples"
    first = listed(call, project, "?class=cat&limit=3")
    assert names(first) == [("0.png", "cat"), ("1.png", "cat"), ("2.png", "cat")]
    assert (first["total"], first["next"], first["upload"]) == (6, 3, "examples")
    rest = listed(call, project, "?class=cat&limit=3&offset=3")
    assert names(rest) == [("3.png", "cat"), ("4.png", "cat")]
    assert rest["next"] is None
    assert [one["name"] for one in listed(call, project)["files"]][-1] == "d.png"
    assert counts(first) == {"cat": 5, "dog": 1, "emu": 0}
    assert httpx.get(first["files"][0]["url"]).content == b"c0"
    assert listed(call, project, "?class=gnu")["files"] == []


@pytest.mark.parametrize(
    "query",
    [
        *("?limit=0", "?limit=201", "?limit=x", "?offset=-1", "?missing=yes", "?limit=1.5"),
        *("?class=" + "x" * 65, "?class=%20", "?offset=9999999999"),
    ],
)
def test_a_wrong_query_is_refused(call: Any, project: Project, query: str) -> None:
    status, found = call("GET", at(project) + query)
    assert status == 400
    assert found["error"]["fix"]


def test_what_never_arrived_is_named_and_forgotten(call: Any, project: Project) -> None:
    found = announce(call, project, "examples", *(file(f"m{n}") for n in range(40)))
    send({"posts": [p for p in found["posts"] if p["sha256"] != sha("m7")]}, *_many("m", 40))
    seen = listed(call, project, "?missing=true")
    assert seen["missing"] == [{"sha256": sha("m7"), "class": "cat", "name": "m7.png"}]
    assert seen["missing_total"] == 1
    assert change(call, project, forget_missing=True)["cat"] == 39
    assert listed(call, project, "?missing=true")["missing_total"] == 0
    assert change(call, project, forget_missing=True)["cat"] == 39


def _many(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def test_an_upload_of_the_command_line_is_copied_when_the_page_changes_it(
    call: Any, project: Project
) -> None:
    announce(call, project, "cli-1", file("a"), file("b", "dog"))
    assert listed(call, project)["upload"] == "cli-1"
    assert change(call, project, remove=[{"sha256": sha("a"), "class": "cat"}])["cat"] == 0
    assert upload_of(project) == "examples"
    own = uploads.announced_files(
        environment.s3(), environment.bucket(), project, "cli-1", Limits()
    )
    assert len(own) == 2
    announce(call, project, "cli-2", file("c"), file("d", "dog"))
    assert names(listed(call, project)) == [("c.png", "cat"), ("d.png", "dog")]
    announce(call, project, "examples", file("e", "emu"))
    assert names(listed(call, project)) == [("c.png", "cat"), ("d.png", "dog"), ("e.png", "emu")]
    assert upload_of(project) == "examples"


def test_a_change_that_changes_nothing_copies_nothing(call: Any, project: Project) -> None:
    announce(call, project, "cli-1", file("a"))
    change(call, project, remove=[{"sha256": sha("x"), "class": "cat"}])
    change(call, project, add_class="cat")
    assert (upload_of(project), parts(project)) == ("cli-1", [])


def test_the_list_outlasts_the_inbox(call: Any, project: Project) -> None:
    announce(call, project, "examples", file("a"))
    change(call, project, move=[{"sha256": sha("a"), "class": "cat", "to": "dog"}])
    for key in parts(project):
        tags = environment.s3().get_object_tagging(Bucket=environment.bucket(), Key=key)
        assert tags["TagSet"] == [{"Key": "expires", "Value": "never"}]
    assert len(parts(project)) == 1


def test_a_class_is_renamed_with_its_files_and_labels(call: Any, project: Project) -> None:
    announce(call, project, "examples", file("a"), file("b", "dog"))
    log = FeedbackLog(environment.state(), project)
    for content, label in (("new", "cat"), ("other", "dog")):
        log.put(Feedback(sha(content), label, 3, "image/png"), 10, 1_000)
    log.mark_learnt(2)
    new = unicodedata.normalize("NFD", "Bär <img onerror=1>")
    renamed = change(call, project, rename={"class": "cat", "to": new})
    stored = unicodedata.normalize("NFC", new)
    assert renamed == {stored: 1, "dog": 1, "emu": 0}
    assert environment.state().project(project).classes == (stored, "dog", "emu")
    assert [one.label for one in log.all()] == [stored, "dog"]
    assert (log.count().new, log.count().total) == (0, 2)
    assert change(call, project, rename={"class": "cat", "to": new}) == renamed


def test_two_classes_become_one_only_when_that_is_said(call: Any, project: Project) -> None:
    announce(call, project, "examples", file("a"), file("b", "dog"))
    status, found = call("PATCH", at(project), {"rename": {"class": "cat", "to": "dog"}})
    assert (status, found["error"]["code"]) == (409, "conflict")
    merged = change(call, project, rename={"class": "cat", "to": "dog", "merge": True})
    assert merged == {"dog": 2, "emu": 0}
    assert change(call, project, rename={"class": "cat", "to": "dog", "merge": True}) == merged


def test_a_class_goes_with_all_in_it_unless_too_few_remain(call: Any, project: Project) -> None:
    announce(call, project, "examples", file("a"), file("b", "dog"))
    assert change(call, project, drop_class="cat") == {"dog": 1, "emu": 0}
    status, found = call("PATCH", at(project), {"drop_class": "dog"})
    assert (status, found["error"]["code"]) == (409, "conflict")
    assert "at least 2" in found["error"]["message"]
    assert change(call, project, drop_class="cat") == {"dog": 1, "emu": 0}


def test_labels_of_what_was_removed_or_moved_follow(call: Any, project: Project) -> None:
    announce(call, project, "examples", file("a"), file("b"))
    log = FeedbackLog(environment.state(), project)
    for content in ("a", "b"):
        log.put(Feedback(sha(content), "cat", 1, "image/png"), 10, 1_000)
    change(call, project, remove=[{"sha256": sha("a"), "class": "cat"}])
    change(call, project, move=[{"sha256": sha("b"), "class": "cat", "to": "dog"}])
    assert [(one.sha256, one.label) for one in log.all()] == [(sha("b"), "dog")]


@pytest.mark.parametrize(
    "body",
    [
        {"rename": {"class": "cat", "to": ""}},
        {"rename": {"class": "cat", "to": "x" * 65}},
        {"rename": {"class": "cat", "to": "a\u202eb"}},
        {"rename": {"class": "gnu", "to": "yak"}},
        {"move": [{"sha256": "0" * 64, "class": "cat", "to": "../x"}]},
        {"remove": [{"sha256": "../../secret", "class": "cat"}]},
        {"add_class": "\u200b"},
        {"add_class": "x", "user": "bob"},
        {},
    ],
)
def test_hostile_changes(call: Any, project: Project, body: Any) -> None:
    announce(call, project, "cli", file("a"))
    status, found = call("PATCH", at(project), body)
    assert (status, bool(found["error"]["fix"])) == (400, True)
    assert upload_of(project) == "cli"


def test_a_path_as_class_stays_data(call: Any, project: Project) -> None:
    announce(call, project, "examples", file("a"))
    for name in ("../x", "<img onerror>", "x" * 64, "a/b"):
        assert change(call, project, add_class=name)[name] == 0
        change(call, project, move=[{"sha256": sha("a"), "class": "cat", "to": name}])
        assert counts(listed(call, project, "?class=cat"))[name] == 1
        change(call, project, move=[{"sha256": sha("a"), "class": name, "to": "cat"}])


def test_links_lead_to_the_projects_own_objects(call: Any, project: Project) -> None:
    send(announce(call, project, "examples", file("a")), "a")
    status, found = call("POST", at(project, "/examples/links"), {"sha256": [sha("a"), sha("b")]})
    assert status == 200
    assert httpx.get(found["links"][sha("a")]).content == b"a"
    assert httpx.get(found["links"][sha("b")]).status_code == 404
    for bad in ([], ["../x"], [sha("a")] * 201, "a", None):
        status, found = call("POST", at(project, "/examples/links"), {"sha256": bad})
        assert status in {400, 413}


def test_another_users_project_is_not_there(call: Any, project: Project) -> None:
    announce(call, project, "examples", file("a"))
    for method, path, body in (
        ("GET", at(project), None),
        ("GET", at(project) + "?missing=true", None),
        ("PATCH", at(project), {"add_class": "x"}),
        ("PATCH", at(project), {"forget_missing": True}),
        ("POST", at(project, "/examples/links"), {"sha256": [sha("a")]}),
        ("POST", at(project, "/uploads"), {"upload": "examples", "files": [file("a")]}),
    ):
        assert call(method, path, body, user="bob")[0] == 404
    assert names(listed(call, project)) == [("a.png", "cat")]


def test_two_tabs_edit_at_once_while_a_third_adds(call: Any, project: Project) -> None:
    announce(call, project, "examples", *(file(f"t{n}", name=f"{n:02}.png") for n in range(20)))

    def tab(number: int) -> int:
        if number >= 20:
            announce(call, project, "examples", file(f"t{number}", "emu"))
            return 200
        entry = {"sha256": sha(f"t{number}"), "class": "cat"}
        body = {"move": [entry | {"to": "dog"}]} if number % 2 else {"remove": [entry]}
        return int(call("PATCH", at(project), body)[0])

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(tab, range(26))) == {200}
    assert counts(listed(call, project)) == {"cat": 0, "dog": 10, "emu": 6}


def test_a_change_waits_for_another_but_not_for_a_release(
    call: Any, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection_module, "_WAIT_SECONDS", 0.3)
    table = environment.state().table
    with exclusive(table, project, "a release"):
        assert change(call, project, add_class="gnu")
    with exclusive(table, project, "another tab", part=EXAMPLES):
        status, found = call("PATCH", at(project), {"add_class": "yak"})
    assert (status, found["error"]["code"]) == (409, "busy")
    assert "examples" in found["error"]["message"]


class Killed(Exception):
    pass


@pytest.fixture
def killed_at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the next call of a method of the collection its last."""

    def kill(name: str) -> None:
        right = getattr(Collection, name)

        def die(*_: Any, **__: Any) -> None:
            monkeypatch.setattr(Collection, name, right)
            raise Killed

        monkeypatch.setattr(Collection, name, die)

    return kill


@pytest.mark.parametrize("step", ["_put", "_delete", "_replace"])
@pytest.mark.parametrize(
    ("body", "left"),
    [
        ({"remove": [{"sha256": sha("a"), "class": "cat"}]}, {"cat": 1, "dog": 1, "emu": 0}),
        ({"rename": {"class": "cat", "to": "lynx"}}, {"lynx": 2, "dog": 1, "emu": 0}),
        ({"rename": {"class": "cat", "to": "dog", "merge": True}}, {"dog": 3, "emu": 0}),
        ({"drop_class": "cat"}, {"dog": 1, "emu": 0}),
    ],
)
@pytest.mark.parametrize("upload", ["examples", "cli"])
def test_a_change_that_was_killed_is_finished_by_the_same_call(
    call: Any, project: Project, killed_at: Any, step: str, body: Any, left: Any, upload: str
) -> None:
    announce(call, project, "examples", file("old", "dog"))  # what a copy has to replace
    first = [file("a"), file("b"), file("c", "dog")]
    announce(call, project, upload, *first)
    if upload == "examples":
        change(call, project, remove=[{"sha256": sha("old"), "class": "dog"}])
    killed_at(step)
    assert call("PATCH", at(project), body)[0] == 500
    assert change(call, project, **body) == left
    assert counts(listed(call, project)) == left
    assert change(call, project, **body) == left
    assert (upload_of(project), len(parts(project))) == ("examples", 1)


def test_labels_that_were_not_renamed_any_more_are_renamed_by_the_same_call(
    call: Any, project: Project
) -> None:
    announce(call, project, "examples", file("a"))
    log = FeedbackLog(environment.state(), project)
    log.put(Feedback(sha("new"), "cat", 3, "image/png"), 10, 1_000)
    body = {"rename": {"class": "cat", "to": "lynx"}}
    with patch.object(FeedbackLog, "relabel", side_effect=Killed):
        assert call("PATCH", at(project), body)[0] == 500
    assert call("PATCH", at(project), body)[0] == 200
    assert [one.label for one in log.all()] == ["lynx"]


def test_a_list_that_is_written_anew_while_it_is_read_is_read_again(
    call: Any, project: Project
) -> None:
    announce(call, project, "examples", file("a"))
    right, times = uploads.parts, 0

    def stale(*arguments: Any) -> list[str]:
        nonlocal times
        times += 1
        gone = ProjectKeys(project).inbox_part("examples", "0" * 64)
        return [*right(*arguments), *([gone] if times == 1 else [])]

    with patch.object(uploads, "parts", stale):
        assert names(listed(call, project)) == [("a.png", "cat")]
    assert times == 2


def test_classes_that_are_changed_elsewhere_meanwhile_are_not_lost(
    call: Any, project: Project
) -> None:
    right, times = Collection._replace, 0

    def late(self: Collection, record: ProjectRecord, **changes: Any) -> bool:
        nonlocal times
        times += 1
        if times == 1:
            call("PATCH", at(project, ""), {"classes": ["cat", "dog", "emu", "yak"]})
        return right(self, record, **changes)

    with patch.object(Collection, "_replace", late):
        change(call, project, add_class="gnu")
    assert environment.state().project(project).classes == ("cat", "dog", "emu", "yak", "gnu")


def test_thousands_of_files_are_one_list(call: Any, project: Project) -> None:
    files = sorted((file(f"k{n}", name=f"{n:04}.png") for n in range(3_000)), key=_by_hash)
    for first in range(0, 3_000, 1_000):
        announce(call, project, "examples", *files[first : first + 1_000])
    assert len(parts(project)) == 3
    gone = [{"sha256": one["sha256"], "class": "cat"} for one in files[:1_000]]
    assert change(call, project, remove=gone)["cat"] == 2_000
    assert len(parts(project)) == 1
    found = listed(call, project, "?class=cat&limit=200&offset=1900&missing=true")
    assert (len(found["files"]), found["next"], found["missing_total"]) == (100, None, 2_000)
    assert len(found["missing"]) == 200
    with patch.object(collection_module, "_PART_FILES", 600):
        assert change(call, project, rename={"class": "cat", "to": "lynx"})["lynx"] == 2_000
    assert len(parts(project)) == 4


def _by_hash(one: dict[str, Any]) -> str:
    return str(one["sha256"])


def test_an_object_of_a_removed_example_stays(call: Any, project: Project) -> None:
    send(announce(call, project, "examples", file("a")), "a")
    change(call, project, remove=[{"sha256": sha("a"), "class": "cat"}])
    key = ProjectKeys(project).object(sha("a"))
    try:
        environment.s3().head_object(Bucket=environment.bucket(), Key=key)
    except ClientError:
        pytest.fail("the object is gone")
    assert (parts(project), listed(call, project)["total"]) == ([], 0)
    assert announce(call, project, "examples", file("a"))["posts"] == []


def table(content: str, label: str = "", name: str = "rows.csv") -> dict[str, Any]:
    return file(content, label, name) | {"content_type": "text/csv", "text_column": "message"}


def test_tables_of_text(call: Any) -> None:
    project = Project("ann", "tables-edited")
    record = ProjectRecord(project, Kind.TEXT, (), has_open_classes=True)
    environment.state().create_project(record)
    announce(call, project, "examples", table("message,label"), table("x", "ham", "ham.csv"))
    found = listed(call, project)
    assert (found["kind"], found["total"], counts(found)) == ("text", 2, {"ham": 1})
    rows = next(one for one in found["files"] if one["name"] == "rows.csv")
    assert (rows["class"], rows["text_column"]) == ("", "message")
    status, refused = call("PATCH", at(project), {"rename": {"class": "ham", "to": "good"}})
    assert (status, "names the class of each row" in refused["error"]["message"]) == (409, True)
    change(call, project, remove=[{"sha256": rows["sha256"], "class": ""}])
    assert change(call, project, rename={"class": "ham", "to": "good"}) == {"good": 1}
