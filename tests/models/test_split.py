"""Splits: stratified, repeatable, without leaks, and true to what was asked for."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.limits import held_out_share
from contracts.manifest import Example, Split
from models.split import find_leaks, groups_per_class, split
from tests.models.labelled_pictures import example


def pictures(per_class: int, classes: int = 2, prefix: str = "") -> list[Example]:
    return [
        example(f"{prefix}{index}-{i}", index) for i in range(per_class) for index in range(classes)
    ]


def counts(examples: Sequence[Example]) -> Counter[tuple[int, Split | None]]:
    return Counter((e.class_index, e.split) for e in examples)


@pytest.mark.parametrize(
    ("per_class", "test", "validation"), [(10, 2, 1), (40, 9, 5), (100, 30, 10), (1000, 300, 105)]
)
def test_shares_per_class(per_class: int, test: int, validation: int) -> None:
    found = counts(split(pictures(per_class)))
    for index in (0, 1):
        assert found[index, Split.TEST] == test
        assert abs(found[index, Split.VALIDATION] - validation) <= 1
        assert found[index, Split.TRAIN] > 0


def test_the_order_given_does_not_matter() -> None:
    examples = pictures(30)
    forward = {e.sha256: e.split for e in split(examples, seed=3)}
    backward = {e.sha256: e.split for e in split(examples[::-1], seed=3)}
    assert forward == backward
    assert forward != {e.sha256: e.split for e in split(examples, seed=4)}


def test_more_pictures_move_few_others() -> None:
    before = {e.sha256: e.split for e in split(pictures(100))}
    after = {e.sha256: e.split for e in split(pictures(110))}
    moved = sum(after[sha256] is not where for sha256, where in before.items())
    assert moved < 0.1 * len(before)


def test_earlier_test_pictures_stay_and_earlier_training_pictures_come_last() -> None:
    old = split(pictures(10), seed=1)
    test = {e.sha256 for e in old if e.split is Split.TEST}
    learnt = {e.sha256 for e in old} - test
    new = split([*pictures(10), *pictures(90, prefix="new")], 2, test, learnt)
    now_test = {e.sha256 for e in new if e.split is Split.TEST}
    assert test <= now_test
    assert not learnt & now_test
    assert counts(new)[0, Split.TEST] == 30


def test_a_copy_of_an_earlier_test_picture_joins_it() -> None:
    examples = [replace(e, group="g" if i < 6 else "") for i, e in enumerate(pictures(20))]
    found = split(examples, previous_test={examples[0].sha256})
    assert {e.split for e in found[:6]} == {Split.TEST}


def test_requested_test_pictures_are_the_test_part() -> None:
    examples = [
        replace(e, requested_split=Split.TEST if i < 14 else Split.TRAIN)
        for i, e in enumerate(pictures(40))
    ]
    found = split(examples)
    assert [e.split is Split.TEST for e in found] == [i < 14 for i in range(80)]
    assert counts(found)[0, Split.VALIDATION] == 5


def test_a_request_for_training_alone_still_leaves_a_test_part() -> None:
    examples = [replace(e, requested_split=Split.TRAIN) for e in pictures(10)]
    assert counts(split(examples))[0, Split.TEST] == 2


def test_requested_validation_is_kept_and_nothing_added() -> None:
    examples = [
        replace(e, requested_split=Split.VALIDATION if i < 4 else None)
        for i, e in enumerate(pictures(20))
    ]
    found = split(examples)
    assert {e.sha256 for e in found if e.split is Split.VALIDATION} == {
        e.sha256 for e in examples[:4]
    }


def test_a_test_picture_that_copies_a_training_picture_leaks() -> None:
    examples = [
        example("a", 0, Split.TRAIN, "g"),
        example("b", 0, Split.TEST, "g"),
        example("c", 0, Split.TEST),
        example("d", 0, None, "h"),  # unrequested, so it trains, as class 0 has its test part
        example("e", 0, Split.TEST, "h"),
        example("f", 0, Split.TEST, "i"),
        example("g", 0, Split.TEST, "i"),
    ]
    assert find_leaks(examples) == {1, 4}
    assert find_leaks(examples, previous_test={examples[0].sha256}) == {4}


def test_a_class_of_three_large_groups_reaches_every_split() -> None:
    examples = [replace(e, group=f"{e.class_index}{i % 3}") for i, e in enumerate(pictures(12, 1))]
    assert groups_per_class(examples) == {0: 3}
    assert {e.split for e in split(examples)} == set(Split)


@given(
    sizes=st.lists(st.integers(3, 60), min_size=2, max_size=5),
    group_sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
def test_no_group_straddles_and_every_class_is_everywhere(
    sizes: list[int], group_sizes: list[int], seed: int
) -> None:
    examples = []
    for index, groups in enumerate(sizes):
        for g in range(groups):
            members = group_sizes[g % len(group_sizes)]
            examples += [
                example(f"{index}/{g}/{m}", index, None, f"{index}/{g}") for m in range(members)
            ]
    found = split(examples, seed)
    by_group: dict[str, set[Split | None]] = {}
    for e in found:
        by_group.setdefault(e.group, set()).add(e.split)
    assert all(len(splits) == 1 for splits in by_group.values())
    for index in range(len(sizes)):
        assert {e.split for e in found if e.class_index == index} == set(Split)
    total = Counter(e.class_index for e in examples)
    for index, size in total.items():
        assert counts(found)[index, Split.TEST] <= max(5, round(size * held_out_share(size)))
