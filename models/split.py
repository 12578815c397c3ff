"""Assign examples to train, validation and test, so that no copy straddles two of them.

Whole groups (near duplicates) are drawn, in an order that depends only on the seed and the group:
the same data gives the same split anywhere, and adding a picture moves few others.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

from contracts.limits import VALIDATION_SHARE, held_out_share
from contracts.manifest import Example, Kind, Split

MIN_GROUPS_PER_CLASS = 3  # one for each split


@dataclass(frozen=True, slots=True)
class _Group:
    """Examples that must stay together."""

    key: str
    members: tuple[int, ...]
    counts: Counter[int]  # examples by class index

    def rank(self, seed: int) -> str:
        return hashlib.sha256(f"{seed}:{self.key}".encode()).hexdigest()


def split(
    examples: Sequence[Example],
    seed: int = 0,
    previous_test: Set[str] = frozenset(),
    previous_train: Set[str] = frozenset(),
    kind: Kind = Kind.IMAGE,
) -> list[Example]:
    """Return the examples with their split, in the order given.

    Per class, `held_out_share` goes to test and `VALIDATION_SHARE` of the rest to validation, at
    least one each where the class has `MIN_GROUPS_PER_CLASS` groups: of 10 examples 2 test,
    1 validation, 7 train. Groups with an example of `previous_test` (SHA-256s) stay in test;
    those of `previous_train` come into test last, for models may have learnt from them.
    Where a class has examples requested as test, those are its test part and no other.
    """
    groups = _grouped(examples)
    chosen = _pinned(groups, examples, previous_test)
    order = sorted(groups, key=lambda group: group.rank(seed))
    unseen_first = sorted(
        order, key=lambda group: any(examples[i].sha256 in previous_train for i in group.members)
    )
    fixed = _requesting_classes(examples, Split.TEST)
    _fill(chosen, unseen_first, Split.TEST, _test_targets(examples, fixed, kind), spare=2)
    fixed = _requesting_classes(examples, Split.VALIDATION)
    _fill(chosen, order, Split.VALIDATION, _validation_targets(groups, chosen, fixed), spare=1)
    by_member = {
        member: chosen.get(group.key, Split.TRAIN) for group in groups for member in group.members
    }
    return [replace(example, split=by_member[i]) for i, example in enumerate(examples)]


def find_leaks(examples: Sequence[Example], previous_test: Set[str] = frozenset()) -> set[int]:
    """Return the indices of examples requested as test that are copies of training examples.

    A group with an example of `previous_test` goes to test as a whole, so nothing leaks there.
    """
    fixed = _requesting_classes(examples, Split.TEST)
    leaks: set[int] = set()
    for group in _grouped(examples):
        members = [(i, examples[i]) for i in group.members]
        if any(example.sha256 in previous_test for _, example in members):
            continue
        test = {i for i, example in members if example.requested_split is Split.TEST}
        learns = any(
            i not in test and (e.requested_split is not None or e.class_index in fixed)
            for i, e in members
        )
        if learns:
            leaks |= test
    return leaks


def groups_per_class(examples: Sequence[Example]) -> Counter[int]:
    """How many different examples each class has, copies counted once."""
    return Counter(index for group in _grouped(examples) for index in group.counts)


def _grouped(examples: Sequence[Example]) -> list[_Group]:
    members: dict[str, list[int]] = {}
    for i, example in enumerate(examples):
        members.setdefault(example.group or example.sha256, []).append(i)
    return [
        _Group(key, tuple(found), Counter(examples[i].class_index for i in found))
        for key, found in members.items()
    ]


def _pinned(
    groups: Sequence[_Group], examples: Sequence[Example], previous_test: Set[str]
) -> dict[str, Split]:
    """What is decided before any drawing: earlier test examples and the uploader's requests."""
    pinned: dict[str, Split] = {}
    for group in groups:
        members = [examples[i] for i in group.members]
        requests = {example.requested_split for example in members}
        if Split.TEST in requests or any(example.sha256 in previous_test for example in members):
            pinned[group.key] = Split.TEST
        elif requests == {Split.VALIDATION}:
            pinned[group.key] = Split.VALIDATION
    return pinned


def _requesting_classes(examples: Sequence[Example], wanted: Split) -> set[int]:
    return {e.class_index for e in examples if e.requested_split is wanted}


def _test_targets(examples: Sequence[Example], fixed: Set[int], kind: Kind) -> dict[int, int]:
    sizes = Counter(example.class_index for example in examples)
    return {
        index: 0 if index in fixed else max(1, round(size * held_out_share(size, kind)))
        for index, size in sizes.items()
    }


def _validation_targets(
    groups: Sequence[_Group], chosen: dict[str, Split], fixed: Set[int]
) -> dict[int, int]:
    sizes: Counter[int] = Counter()
    for group in groups:
        if chosen.get(group.key) is not Split.TEST:
            sizes.update(group.counts)
    return {
        index: 0 if index in fixed else max(1, round(size * VALIDATION_SHARE))
        for index, size in sizes.items()
    }


def _fill(
    chosen: dict[str, Split],
    order: Sequence[_Group],
    wanted: Split,
    targets: dict[int, int],
    spare: int,
) -> None:
    """Draw groups into `wanted` until each class has its target, leaving it `spare` groups."""
    missing = Counter(targets)
    for group in order:
        if chosen.get(group.key) is wanted:
            missing.subtract(group.counts)
    free = [group for group in order if group.key not in chosen]
    left = Counter(index for group in free for index in group.counts)

    def take(group: _Group) -> bool:
        if any(left[index] <= spare for index in group.counts):
            return False
        chosen[group.key] = wanted
        missing.subtract(group.counts)
        left.subtract(group.counts.keys())
        return True

    for group in free:
        if all(count <= missing[index] for index, count in group.counts.items()):
            take(group)
    # Groups larger than the target did not fit; a class that got nothing takes its smallest one.
    empty = {index for index, target in targets.items() if missing[index] == target > 0}
    for group in sorted(free, key=lambda group: len(group.members)):
        if not empty.isdisjoint(group.counts) and take(group):
            empty -= group.counts.keys()
