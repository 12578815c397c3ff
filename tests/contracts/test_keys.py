"""Every key lies below its project's prefix, whatever names are tried."""

from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contracts import keys
from contracts.errors import InvalidName
from contracts.identity import Project
from contracts.keys import ProjectKeys, parse_inbox_manifest

PART = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True)
PROJECT = st.builds(Project, PART, PART)
HOSTILE = st.sampled_from(
    [
        "..",
        "../x",
        "/x",
        "a/../b",
        "a/b",
        "\\x",
        "%2e%2e%2f",
        "a\0",
        "a\n",
        "",
        ".",
        ".hidden",
        "🐈",
    ]
) | st.text(max_size=20)
SHA = "a" * 64

BUILDERS: list[Callable[[ProjectKeys, str], str]] = [
    lambda k, name: k.inbox_manifest(name),
    lambda k, name: k.inbox_part(name, SHA),
    lambda k, name: k.inbox_part("up", name),
    lambda k, name: k.inbox_parts(name),
    lambda k, name: k.inbox_refusal(name),
    lambda k, name: k.object(name),
    lambda k, name: k.request(name, "r-1"),
    lambda k, name: k.request("2026-11-30", name),
    lambda k, name: k.manifest(name),
    lambda k, name: k.report(SHA, name),
    lambda k, name: k.report(name, "report.html"),
    lambda k, name: k.features(name),
    lambda k, name: k.checkpoint(name, "last.ckpt"),
    lambda k, name: k.checkpoint("run", name),
    lambda k, name: k.bundle(name, "model.onnx"),
    lambda k, name: k.bundle("m-1", name),
    lambda k, name: k.evaluation(name, SHA),
    lambda k, name: k.evaluation("m-1", name),
    lambda k, name: k.decision(name, SHA),
    lambda k, name: k.decision("m-1", name),
    lambda k, name: k.request("2026-11-27", name),
    lambda k, name: k.request(name, "r-1"),
]


@given(one=PROJECT, other=PROJECT)
def test_no_prefix_contains_another(one: Project, other: Project) -> None:
    assume(one != other)
    assert not ProjectKeys(one).prefix.startswith(ProjectKeys(other).prefix)


@pytest.mark.parametrize("build", BUILDERS)
@given(project=PROJECT, name=HOSTILE)
def test_no_name_escapes_its_prefix(
    build: Callable[[ProjectKeys, str], str], project: Project, name: str
) -> None:
    project_keys = ProjectKeys(project)
    try:
        key = build(project_keys, name)
    except InvalidName:
        return
    assert key.startswith(project_keys.prefix)
    assert key.isascii()
    parts = key.split("/")
    assert not {"", ".", ".."} & set(parts)
    assert len(key) < 512
    neutral = build(project_keys, SHA)  # a name may not add a level
    assert len(parts) == len(neutral.split("/"))


@given(name=HOSTILE)
def test_shared_keys_stay_in_their_folder(name: str) -> None:
    for build, folder in ((keys.weights, "weights/"), (keys.code, "code/")):
        try:
            key = build(name)
        except InvalidName:
            continue
        assert key.startswith(folder)
        assert key.count("/") == 1
        assert ".." not in key


@given(project=PROJECT, upload=st.from_regex(r"[a-z0-9][a-z0-9-]{0,63}", fullmatch=True))
def test_an_inbox_manifest_names_its_project_and_upload(project: Project, upload: str) -> None:
    assert parse_inbox_manifest(ProjectKeys(project).inbox_manifest(upload)) == (project, upload)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "users/ann/pets/inbox/u/manifest.json/x",
        "users/ann/pets/inbox/u/../manifest.json",
        "users/ann/../inbox/u/manifest.json",
        "users/ann/pets/inbox/U/manifest.json",
        "x/users/ann/pets/inbox/u/manifest.json",
        "users/ann/pets/inbox/u/manifest.json\n",
        "users/ann/pets/datasets/u/manifest.json",
    ],
)
def test_any_other_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidName):
        parse_inbox_manifest(key)


def test_only_checkpoints_the_inbox_and_kept_requests_expire() -> None:
    project_keys = ProjectKeys(Project("ann", "checkpoints"))
    assert keys.expiry_tag(project_keys.checkpoint("r1", "last.ckpt")) == "expires=checkpoint"
    assert keys.expiry_tag(project_keys.inbox_parts("u1") + "x.json") == "expires=inbox"
    assert keys.expiry_tag(project_keys.request("2026-11-27", "r1")) == "expires=request"
    for key in (
        project_keys.object("a" * 64),
        project_keys.bundle("v1", "model.onnx"),
        project_keys.manifest("a" * 64),
        keys.weights("net.pth"),
    ):
        assert keys.expiry_tag(key) == ""


def test_trainer_files_may_be_wheels_and_never_paths() -> None:
    wheel = "exemplar-0.1.0-py3-none-any.whl"
    assert keys.trainer("a" * 64, wheel) == f"trainer/{'a' * 64}/{wheel}"
    assert keys.trainer("a" * 64, "setup.sh").endswith("/setup.sh")
    for bad in ("../x.whl", "a/b-1-py3-none-any.whl", "..", ""):
        with pytest.raises(InvalidName):
            keys.trainer("a" * 64, bad)
