"""Labels under repetition, replacement and many callers at once."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from contracts.errors import BeingDeleted, LimitExceeded, NotFound
from contracts.identity import Project
from contracts.manifest import Kind
from lambdas import environment
from lambdas.feedback import Feedback, FeedbackCount, FeedbackLog
from lambdas.state import ProjectRecord

MOST, MOST_BYTES = 1_000, 10_000


def log(name: str) -> FeedbackLog:
    project = Project("ann", name)
    environment.state().create_project(ProjectRecord(project, Kind.IMAGE, ("cat", "dog")))
    return FeedbackLog(environment.state(), project)


def given(name: str, label: str = "cat") -> Feedback:
    return Feedback(hashlib.sha256(name.encode()).hexdigest(), label, 10, "image/png")


def put(to: FeedbackLog, name: str, label: str = "cat") -> bool:
    return to.put(given(name, label), MOST, MOST_BYTES)[1]


def numbers(count: FeedbackCount) -> tuple[int, int, int]:
    return count.total, count.new, count.size_bytes


def test_the_same_label_is_the_same_record_and_another_replaces_it() -> None:
    feedback = log("twice")
    assert put(feedback, "a")
    assert not put(feedback, "a")
    assert put(feedback, "a", "dog")
    assert numbers(feedback.count()) == (1, 1, 10)
    assert [one.label for one in feedback.all()] == ["dog"]
    assert feedback.find(given("a").sha256).label == "dog"  # type: ignore[union-attr]


def test_new_are_those_since_the_last_training() -> None:
    feedback = log("new")
    for name in "abc":
        put(feedback, name)
    seen = feedback.all()[-1].number
    put(feedback, "d")  # while the training is being started
    feedback.mark_learnt(seen)
    feedback.mark_learnt(seen)
    assert numbers(feedback.count()) == (4, 1, 40)
    put(feedback, "a", "dog")  # learnt, but wrongly
    assert numbers(feedback.count()) == (4, 2, 40)
    assert numbers(feedback.remove(given("d").sha256)) == (3, 1, 30)
    assert numbers(feedback.remove(given("b").sha256)) == (2, 1, 20)
    feedback.mark_learnt(seen)  # an earlier training ends its start late
    assert feedback.count().new == 1


def test_a_deleted_project_takes_no_more() -> None:
    feedback, project = log("going"), Project("ann", "going")
    put(feedback, "a")
    environment.state().mark_deletion(project, "receipt")
    with pytest.raises(BeingDeleted):
        put(feedback, "b")
    environment.state().remove_project(project, "receipt")
    with pytest.raises(NotFound, match="no project 'going'"):
        put(feedback, "b")
    assert len(feedback.all()) == 1  # which the deletion removes


def test_what_is_not_there_cannot_be_taken_back() -> None:
    with pytest.raises(NotFound, match="no feedback on the example"):
        log("none").remove("0" * 64)
    assert log("none").find("0" * 64) is None


def test_the_newest_come_first_and_in_pages() -> None:
    feedback = log("pages")
    for name in "abcde":
        put(feedback, name)
    put(feedback, "b", "dog")
    first = feedback.newest(3)
    assert [one.label for one in first] == ["dog", "cat", "cat"]
    rest = feedback.newest(3, before=first[-1].number)
    assert [one.sha256 for one in first + rest] == [given(name).sha256 for name in "bedca"]
    assert feedback.newest(3, before=rest[-1].number) == []


def test_many_callers_lose_nothing() -> None:
    feedback = log("crowd")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: put(feedback, str(i % 10), "cat" if i < 20 else "dog"), range(40)))
    assert numbers(feedback.count()) == (10, 10, 100)
    assert len({one.number for one in feedback.all()}) == len(feedback.all()) == 10


def test_there_is_an_end() -> None:
    feedback = log("full")
    for name in "abc":
        feedback.put(given(name), 3, 10_000)
    with pytest.raises(LimitExceeded, match="at most 3"):
        feedback.put(given("d"), 3, 10_000)
    with pytest.raises(LimitExceeded, match="of 35 are kept"):
        feedback.put(given("d"), 100, 35)
    feedback.put(given("a", "dog"), 3, 30)  # another label for what is there
    assert numbers(feedback.count()) == (3, 3, 30)


def test_one_of_many_asks_for_a_training_and_nobody_soon_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feedback = log("asks")
    for name in "abc":
        put(feedback, name)
    assert not feedback.claim_asking(4)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: feedback.claim_asking(3), range(8))) == 1
    feedback.mark_learnt(feedback.count().last)
    put(feedback, "d")
    assert not feedback.claim_asking(1)
    monkeypatch.setattr("lambdas.feedback._ASKED_SECONDS", 0.0)
    assert feedback.claim_asking(1)
