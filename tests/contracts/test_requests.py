"""Train and upload requests: what is taken, and what is answered otherwise."""

from typing import Any

import pytest

from contracts.errors import InvalidRequest, LimitExceeded
from contracts.identity import Project
from contracts.limits import Limits
from contracts.manifest import Kind
from contracts.requests import AnnouncedFile, CreateProject, TrainRequest

LIMITS = Limits()
PROJECT = Project("ann", "cats")


def file(**changes: Any) -> dict[str, Any]:
    plain = {"name": "rows.csv", "size_bytes": 10, "sha256": "a" * 64, "content_type": "text/csv"}
    return plain | changes


def test_a_table_needs_no_class_and_a_picture_does() -> None:
    table = AnnouncedFile.parse(file(), LIMITS)
    assert (table.kind, table.class_name) == (Kind.TEXT, "")
    assert AnnouncedFile.parse(table.as_dict(), LIMITS) == table
    with pytest.raises(InvalidRequest, match="'class' is missing"):
        AnnouncedFile.parse(file(content_type="image/png"), LIMITS)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "../../etc/passwd"),
        ("a\nb\0c.png", "a�b�c.png"),
        ("\x1b[2J.png", "�[2J.png"),
        ("\u202egnp.exe", "�gnp.exe"),
        ("caf\udce9", "caf�"),
        ("👩\u200d🚀.png", "👩\u200d🚀.png"),
    ],
)
def test_a_files_name_is_kept_as_it_can_be_shown(name: str, shown: str) -> None:
    announced = AnnouncedFile.parse(file(name=name), LIMITS)
    assert announced.name == shown
    assert AnnouncedFile.parse(announced.as_dict(), LIMITS) == announced


def test_columns_come_along() -> None:
    table = AnnouncedFile.parse(file(text_column="Message", label_column="2"), LIMITS)
    assert AnnouncedFile.parse(table.as_dict(), LIMITS) == table
    assert (table.hints.text_column, table.hints.label_column) == ("Message", "2")
    for wrong in (5, "x" * 129, None, ["a"]):
        with pytest.raises(InvalidRequest, match="is no column's name"):
            AnnouncedFile.parse(file(text_column=wrong), LIMITS)


@pytest.mark.parametrize(("kind", "limit"), [("text/csv", 200 * 2**20), ("image/png", 20 * 2**20)])
def test_a_gigabyte_is_refused_when_it_is_announced(kind: str, limit: int) -> None:
    whole = file(content_type=kind, **{"class": "cat"})
    AnnouncedFile.parse(whole | {"size_bytes": limit}, LIMITS)
    with pytest.raises(LimitExceeded, match="the limit is"):
        AnnouncedFile.parse(whole | {"size_bytes": 2**30}, LIMITS)


def test_text_may_come_without_classes_and_pictures_may_not() -> None:
    assert CreateProject.parse({"name": "spam", "kind": "text"}, LIMITS).classes == ()
    with pytest.raises(InvalidRequest, match="0 classes"):
        CreateProject.parse({"name": "cats", "kind": "image"}, LIMITS)
    with pytest.raises(InvalidRequest, match="'sound' is unknown"):
        CreateProject.parse({"name": "cats", "kind": "sound", "classes": []}, LIMITS)


def test_a_recipe_is_a_name_or_values() -> None:
    assert TrainRequest.parse({"recipe": "fast"}).recipe == "fast"
    first = TrainRequest.parse({"recipe": {"epochs": 3, "flip": False}})
    second = TrainRequest.parse({"recipe": {"flip": False, "epochs": 3}})
    assert first.recipe == second.recipe == '{"epochs":3,"flip":false}'
    assert first.job_id(PROJECT, 0) != TrainRequest.parse({}).job_id(PROJECT, 0)


@pytest.mark.parametrize(
    "recipe",
    [
        {},
        [],
        5,
        "../x",
        {"epochs": [3]},
        {"epochs": {"a": 1}},
        {"epochs": None},
        {"epochs": "x" * 41},
        {"a b": 1},
        {f"v{n}": n for n in range(41)},
    ],
)
def test_other_recipes_are_refused(recipe: Any) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        TrainRequest.parse({"recipe": recipe})
    assert refusal.value.fix


def test_what_a_request_leaves_out_depends_on_the_project() -> None:
    request = TrainRequest.parse({})
    assert request.completed(Kind.IMAGE, "u1").model == "mobilenet_v2"
    assert request.completed(Kind.TEXT, "u1").model == "minilm_l6"
    with pytest.raises(InvalidRequest, match="cannot learn from a project of kind text"):
        TrainRequest.parse({"model": "mobilenet_v2"}).completed(Kind.TEXT, "u1")


def test_fewer_examples_are_another_job_and_have_an_end() -> None:
    fewer = TrainRequest.parse({"min_per_class": 8})
    assert fewer.job_id(PROJECT, 0) != TrainRequest.parse({}).job_id(PROJECT, 0)
    changed = LIMITS.with_minimum(8)
    assert (changed.min_examples(Kind.IMAGE), changed.min_examples(Kind.TEXT)) == (8, 8)
    assert LIMITS.with_minimum(0) == LIMITS
    with pytest.raises(InvalidRequest, match="at least 6"):
        LIMITS.with_minimum(2)


def test_tuning_is_another_job_and_bounded() -> None:
    tuned = TrainRequest.parse({"tune": 20})
    plain = TrainRequest.parse({})
    assert (tuned.tune, plain.tune) == (20, 0)
    assert tuned.job_id(PROJECT, 0) != plain.job_id(PROJECT, 0)
    assert TrainRequest.parse({"tune": 0}).job_id(PROJECT, 0) == plain.job_id(PROJECT, 0)
    for wrong in (-1, 201, True, "20", 2.0):
        with pytest.raises(InvalidRequest, match="tune is"):
            TrainRequest.parse({"tune": wrong})
