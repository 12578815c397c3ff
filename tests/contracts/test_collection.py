"""Changes of a list of examples: what becomes of files, classes and given labels."""

import unicodedata
from typing import Any

import pytest

from contracts.collection import AddClass, Contents, ForgetMissing, parse_change
from contracts.errors import Conflict, ExemplarError, InvalidRequest, LimitExceeded
from contracts.limits import Limits
from contracts.manifest import Kind
from contracts.requests import AnnouncedFile

LIMITS = Limits()


def picture(content: str, label: str, name: str = "") -> AnnouncedFile:
    return AnnouncedFile(label, name or f"{content}.jpg", 10, content * 64, "image/jpeg")


def pets(*files: AnnouncedFile, classes: tuple[str, ...] = ("cat", "dog", "emu")) -> Contents:
    return Contents(Kind.IMAGE, classes, list(files))


def tables(*names: str, is_open: bool = True) -> Contents:
    files = [
        AnnouncedFile(n, f"{n}.csv", 10, "0" * 63 + str(i), "text/csv") for i, n in enumerate(names)
    ]
    return Contents(Kind.TEXT, tuple(n for n in names if n), files, has_open_classes=is_open)


def apply(body: Any, contents: Contents) -> Contents:
    change = parse_change(body)
    assert not isinstance(change, ForgetMissing)
    return change.apply(contents, LIMITS)


def lying(contents: Contents) -> list[tuple[str, str]]:
    return [(file.sha256[0], file.class_name) for file in contents.files]


BEFORE = pets(picture("a", "cat"), picture("b", "cat"), picture("b", "dog"), picture("c", "dog"))


@pytest.mark.parametrize(
    ("body", "left", "classes"),
    [
        (
            {
                "remove": [
                    {"sha256": "b" * 64, "class": "cat"},
                    {"sha256": "f" * 64, "class": "dog"},
                ]
            },
            [("a", "cat"), ("b", "dog"), ("c", "dog")],
            ("cat", "dog", "emu"),
        ),
        (
            {"move": [{"sha256": "b" * 64, "class": "cat", "to": "dog"}]},
            [("a", "cat"), ("b", "dog"), ("c", "dog")],
            ("cat", "dog", "emu"),
        ),
        (
            {"rename": {"class": "cat", "to": "lynx"}},
            [("a", "lynx"), ("b", "dog"), ("b", "lynx"), ("c", "dog")],
            ("lynx", "dog", "emu"),
        ),
        (
            {"rename": {"class": "cat", "to": "dog", "merge": True}},
            [("a", "dog"), ("b", "dog"), ("c", "dog")],
            ("dog", "emu"),
        ),
        ({"drop_class": "dog"}, [("a", "cat"), ("b", "cat")], ("cat", "emu")),
        ({"drop_class": "gnu"}, lying(BEFORE), ("cat", "dog", "emu")),
        ({"add_class": " gnu "}, lying(BEFORE), ("cat", "dog", "emu", "gnu")),
        ({"add_class": "emu"}, lying(BEFORE), ("cat", "dog", "emu")),
        ({"rename": {"class": "cat", "to": "cat"}}, lying(BEFORE), ("cat", "dog", "emu")),
    ],
)
def test_a_change_once_and_again(body: Any, left: Any, classes: Any) -> None:
    after = apply(body, BEFORE)
    assert (lying(after), after.classes) == (left, classes)
    assert apply(body, after) == after


@pytest.mark.parametrize(
    ("body", "error", "said"),
    [
        ({"move": [{"sha256": "a" * 64, "class": "cat", "to": "gnu"}]}, InvalidRequest, "no class"),
        ({"rename": {"class": "gnu", "to": "yak"}}, InvalidRequest, "no class 'gnu'"),
        ({"rename": {"class": "cat", "to": "dog"}}, Conflict, "already"),
        ({"rename": {"class": "cat", "to": "emu"}}, Conflict, "already"),
        ({"rename": {"class": "cat", "to": ""}}, InvalidRequest, "0 characters"),
        ({"rename": {"class": "cat", "to": "x" * 65}}, InvalidRequest, "65 characters"),
        ({"rename": {"class": "cat", "to": "a\u202eb"}}, InvalidRequest, "invisible"),
        ({"rename": {"class": "cat"}}, InvalidRequest, "'to' is missing"),
        ({"rename": {"class": "cat", "to": "x", "merge": 1}}, InvalidRequest, "merge"),
        ({"rename": "cat"}, InvalidRequest, "JSON object"),
        ({"remove": []}, InvalidRequest, "no list with entries"),
        ({"remove": [{"sha256": "../x", "class": "cat"}]}, InvalidRequest, "no SHA-256"),
        ({"remove": [{"sha256": "a" * 64, "class": []}]}, InvalidRequest, "no text"),
        ({"remove": [{"sha256": "a" * 64, "class": 0}]}, InvalidRequest, "no text"),
        ({"remove": [{"sha256": "a" * 64, "class": "x"}] * 1_001}, LimitExceeded, "1,001 entries"),
        ({"forget_missing": 1}, InvalidRequest, "forget_missing"),
        ({"add_class": None}, InvalidRequest, "no text"),
        ({}, InvalidRequest, "0 changes"),
        ({"add_class": "x", "drop_class": "y"}, InvalidRequest, "2 changes"),
        ({"rename_class": "x"}, InvalidRequest, "unknown"),
        ([], InvalidRequest, "JSON object"),
        (None, InvalidRequest, "JSON object"),
    ],
)
def test_what_may_not_be_is_refused(body: Any, error: type[ExemplarError], said: str) -> None:
    with pytest.raises(error, match=said) as caught:
        apply(body, BEFORE)
    assert caught.value.fix


def test_too_few_classes_never_remain() -> None:
    two = pets(picture("a", "cat"), classes=("cat", "dog"))
    for body in ({"drop_class": "dog"}, {"rename": {"class": "dog", "to": "cat", "merge": True}}):
        with pytest.raises(Conflict, match="1 class would remain, at least 2"):
            apply(body, two)
    assert apply({"drop_class": "gnu"}, two) == two


def test_class_names_are_compared_in_their_stored_form() -> None:
    name = unicodedata.normalize("NFC", "Bär")
    contents = pets(picture("a", name), classes=(name, "dog"))
    after = apply(
        {"rename": {"class": unicodedata.normalize("NFD", name), "to": " <img onerror=x> "}},
        contents,
    )
    assert after.classes == ("<img onerror=x>", "dog")
    assert apply({"rename": {"class": "dog", "to": "x" * 64}}, after).classes[1] == "x" * 64


@pytest.mark.parametrize("rewritten", ["both", "new"])
def test_an_interrupted_renaming_is_no_merge(rewritten: str) -> None:
    """The new list was written but the old one has not gone, or the classes have not followed."""
    body = {"rename": {"class": "cat", "to": "lynx"}}
    done = apply(body, BEFORE)
    files = [*BEFORE.files, *done.files] if rewritten == "both" else done.files
    for is_open in (False, True):
        half = Contents(Kind.IMAGE, BEFORE.classes, list(files), is_open)
        again = apply(body, half)
        assert (lying(again), again.classes) == (lying(done), done.classes)


def test_a_class_that_only_files_name_is_shown_last_and_can_be_renamed() -> None:
    contents = pets(picture("a", "zebra"), picture("b", "ape"), picture("b", "ape", "again.jpg"))
    counts = [(count.name, count.examples, count.size_bytes) for count in contents.counts()]
    assert counts == [
        ("cat", 0, 0),
        ("dog", 0, 0),
        ("emu", 0, 0),
        ("ape", 1, 10),
        ("zebra", 1, 10),
    ]
    assert [file.name for file in contents.shown()] == ["a.jpg", "again.jpg"]
    assert apply({"rename": {"class": "ape", "to": "gnu"}}, contents).known[-2:] == ("gnu", "zebra")


def test_tables_that_name_classes_themselves_keep_them() -> None:
    contents = tables("", "ham", "spam")
    assert [count.name for count in contents.counts()] == ["ham", "spam"]
    for body in ({"rename": {"class": "ham", "to": "good"}}, {"drop_class": "ham"}):
        with pytest.raises(Conflict, match=r"'\.csv' names the class of each row itself"):
            apply(body, contents)
    with pytest.raises(Conflict, match="those that its tables name"):
        apply({"add_class": "other"}, contents)
    sha256 = contents.files[0].sha256
    left = apply({"remove": [{"sha256": sha256, "class": ""}]}, contents)
    assert apply({"rename": {"class": "ham", "to": "good"}}, left).classes == ("good", "spam")


def test_as_many_classes_as_the_limits_allow() -> None:
    with pytest.raises(LimitExceeded, match="the limit is 3"):
        AddClass("gnu").apply(BEFORE, Limits(max_classes=3))


def test_what_is_not_stored_is_taken_out() -> None:
    removal = ForgetMissing().removal(BEFORE, {"a" * 64, "c" * 64})
    assert lying(removal.apply(BEFORE, LIMITS)) == [("a", "cat"), ("c", "dog")]


@pytest.mark.parametrize(
    ("body", "labels"),
    [
        ({"remove": [{"sha256": "a" * 64, "class": "cat"}]}, {"b": "dog", "f": "cat"}),
        ({"remove": [{"sha256": "b" * 64, "class": "cat"}]}, {"a": "cat", "b": "dog", "f": "cat"}),
        (
            {"move": [{"sha256": "a" * 64, "class": "cat", "to": "emu"}]},
            {"a": "emu", "b": "dog", "f": "cat"},
        ),
        (
            {"move": [{"sha256": "f" * 64, "class": "cat", "to": "emu"}]},
            {"a": "cat", "b": "dog", "f": "cat"},
        ),
        ({"rename": {"class": "cat", "to": "lynx"}}, {"a": "lynx", "b": "dog", "f": "lynx"}),
        ({"drop_class": "cat"}, {"a": "cat", "b": "dog", "f": "cat"}),
        ({"add_class": "gnu"}, {"a": "cat", "b": "dog", "f": "cat"}),
    ],
)
def test_labels_given_as_feedback_follow(body: Any, labels: dict[str, str]) -> None:
    change: Any = parse_change(body)
    told = change.relabelling(change.apply(BEFORE, LIMITS))
    found = {
        name: told(name * 64, label) for name, label in (("a", "cat"), ("b", "dog"), ("f", "cat"))
    }
    assert {name: label for name, label in found.items() if label is not None} == labels


def test_where_labels_make_the_classes_those_of_a_dropped_class_go() -> None:
    change: Any = parse_change({"drop_class": "ham"})
    told = change.relabelling(change.apply(tables("ham", "spam", "other"), LIMITS))
    assert (told("0" * 64, "ham"), told("0" * 64, "spam")) == (None, "spam")
