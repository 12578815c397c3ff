"""No two projects share a name anywhere, and no class name can deceive or escape."""

import unicodedata

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from contracts.errors import InvalidName
from contracts.identity import (
    CLASS_NAME_MAX,
    FUNCTION_NAME_MAX,
    ROLE_NAME_MAX,
    Project,
    class_name,
    identifier,
    sha256_hex,
)

PART = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True)
# Short ones over few letters collide far more often, if they can.
NARROW = st.from_regex(r"[ab]([ab-]{0,30}[ab])?", fullmatch=True)
PROJECT = st.builds(Project, PART | NARROW, PART | NARROW)
LONG = st.builds(
    lambda user, tail: Project("u" * 31 + user, "p" * 31 + tail),
    st.sampled_from("abc"),
    st.sampled_from("abc"),
)


@given(one=PROJECT | LONG, other=PROJECT | LONG, stack=st.sampled_from(["exemplar", "s" * 40]))
@example(Project("a-b", "c"), Project("a", "b-c"), "exemplar")
@example(Project("u" * 32, "p" * 31 + "a"), Project("u" * 32, "p" * 31 + "b"), "exemplar")
def test_no_two_projects_share_a_derived_name(one: Project, other: Project, stack: str) -> None:
    assume(one != other)
    assert one.slug != other.slug
    assert one.registry_name != other.registry_name
    assert one.function_name(stack) != other.function_name(stack)
    names = [role_names(project, stack) for project in (one, other)]
    assert len({*names[0], *names[1]}) == 6


def role_names(project: Project, stack: str) -> list[str]:
    return [
        project.trainer_role_name(stack),
        project.inference_role_name(stack),
        project.forward_role_name(stack),
    ]


@given(PROJECT | LONG)
def test_function_names_fit_and_belong_to_the_stack(project: Project) -> None:
    name = project.function_name("exemplar")
    assert len(name) <= FUNCTION_NAME_MAX
    assert name.startswith("exemplar-infer_")
    for role, purpose in zip(
        role_names(project, "exemplar"), ("train", "infer", "forward"), strict=True
    ):
        assert len(role) <= ROLE_NAME_MAX
        assert role.startswith(f"exemplar-{purpose}_")
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_H")


def test_long_stacks_with_one_beginning_stay_apart() -> None:
    project = Project("ann", "pets")
    assert project.function_name("s" * 60 + "a") != project.function_name("s" * 60 + "b")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-a",
        "a-",
        "a_b",
        "a.b",
        "A",
        "ä",
        "a/b",
        "..",
        "a\n",
        " a",
        "a" * 33,
        "٣",
        "a\0",
        None,
        7,
    ],
)
def test_parts_that_could_collide_or_escape_are_refused(name: str) -> None:
    with pytest.raises(InvalidName, match="may hold only"):
        Project(name, "pets")
    with pytest.raises(InvalidName):
        Project("ann", name)


@given(st.text(max_size=40))
def test_any_text_is_a_valid_part_or_refused(text: str) -> None:
    try:
        project = Project(text, text)
    except InvalidName:
        return
    assert set(project.user) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert 1 <= len(project.user) <= 32


@given(st.text(max_size=80))
@example("e\u0301")
@example("\u212b")
@example("  cat  ")
def test_class_names_have_one_stored_form(text: str) -> None:
    try:
        name = class_name(text)
    except InvalidName:
        return
    assert class_name(name) == name
    assert class_name(f" {name}\t") == name
    assert unicodedata.is_normalized("NFC", name)
    assert 1 <= len(name) <= CLASS_NAME_MAX
    assert name.isprintable() or any(unicodedata.category(c)[0] in "ZC" for c in name)


@pytest.mark.parametrize(
    "name",
    [
        "cat",
        "🐈",
        "👩‍🚀",
        "❤️",
        "हिन्दी",
        "می‌خواهم",
        "❤️‍🔥",
        "👩🏽‍🚀",
        "ന്‍",
        "<img onerror>",
        "../x",
        "日本 語",
        "a/b",
    ],
)
def test_every_script_is_welcome(name: str) -> None:
    assert class_name(name) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        "a\0b",
        "a\nb",
        "a\x1b[31m",
        "safe\u202eexe.cat",
        "\u2066cat",
        "cat\u200b",
        "\ufeffcat",
        "a\u2028b",
        "\ud800",
        "\u200d",
        "cat\u200d",
        "c\u200cat",
        "кот\u200d",
        "\u200dcat",
        "می\u200c\u200cخواهم",
        "\u3164",
        "\ufe0f",
        "x" * 65,
        None,
        3,
    ],
)
def test_names_that_deceive_or_show_nothing_are_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        class_name(name)


@pytest.mark.parametrize("value", ["", "-a", "a/b", "..", "A", "a_b", "a" * 65, "a\n", None])
def test_identifiers_cannot_escape(value: str) -> None:
    with pytest.raises(InvalidName):
        identifier(value)


@pytest.mark.parametrize(
    "value", ["", "f" * 63, "f" * 65, "F" * 64, "g" * 64, "f" * 64 + "\n", None]
)
def test_only_a_digest_is_a_digest(value: str) -> None:
    with pytest.raises(InvalidName):
        sha256_hex(value)
