"""From a frozen upload to a data set that can be trained on: set aside, group, check, split."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Final

from contracts.errors import DataProblem
from contracts.limits import Limits
from contracts.manifest import Example, Flag, Kind, Manifest, Split
from models.duplicates import near_duplicate_groups
from models.inspection import ImageFacts
from models.problems import NOUNS, Problem
from models.split import MIN_GROUPS_PER_CLASS, find_leaks, groups_per_class, split
from models.text_inspection import TextFacts, same_likeness

MAX_DETAILS: Final = 50
# A picture whose mean side is so many times smaller or larger than the median is worth a look.
OUTLIER_FACTOR: Final = 4.0

Facts = Mapping[str, ImageFacts | TextFacts | Problem]
# Index of an example in the manifest, and why it cannot be used.
_SetAside = dict[int, Problem]


def prepare(
    frozen: Manifest,
    facts: Facts,
    limits: Limits,
    previous_test: Set[str] = frozenset(),
    previous_train: Set[str] = frozenset(),
) -> Manifest:
    """Return the prepared data set; nothing is dropped, and what is set aside says why.

    `facts` is what inspection found, by SHA-256; `previous_test` and `previous_train` hold the
    SHA-256s of an earlier version's splits. Raises `DataProblem` listing every shortage.
    """
    aside = _problems(frozen, facts)
    aside |= _conflicts(frozen, aside)
    aside |= _duplicates(frozen, aside, previous_test)
    kept = [i for i in range(len(frozen.examples)) if i not in aside]
    examples = [_measured(frozen.examples[i], facts) for i in kept]
    examples = _with_outliers(_with_groups(examples, facts))
    leaks = find_leaks(examples, previous_test)
    aside |= {kept[i]: _LEAK for i in leaks}
    usable = {kept[i]: example for i, example in enumerate(examples) if i not in leaks}

    require_enough(list(usable.values()), frozen.classes, limits, frozen.kind)
    assigned = split(list(usable.values()), frozen.seed, previous_test, previous_train, frozen.kind)
    _require_every_split(assigned, frozen.classes, NOUNS[frozen.kind])
    final = dict(zip(usable, assigned, strict=True))
    return replace(
        frozen,
        examples=tuple(
            final[i] if i in final else _put_aside(example, aside[i])
            for i, example in enumerate(frozen.examples)
        ),
        is_prepared=True,
        parent=frozen.version,
    )


def require_enough(
    usable: Sequence[Example], classes: Sequence[str], limits: Limits, kind: Kind = Kind.IMAGE
) -> None:
    """Raise `DataProblem` naming every class that lacks examples, and how many it lacks."""
    problems, noun, needed = [], NOUNS[kind], limits.min_examples(kind)
    if not limits.min_classes <= len(classes) <= limits.max_classes:
        problems.append(
            f"the project has {len(classes)} classes, "
            f"{limits.min_classes} to {limits.max_classes:,} are possible"
        )
    sizes = Counter(example.class_index for example in usable)
    distinct = groups_per_class(usable)
    for index, name in enumerate(classes):
        if (lacking := needed - sizes[index]) > 0:
            problems.append(
                f"class {name!r} needs {_count(lacking, f'more {noun}')} "
                f"({needed} needed, {sizes[index]} usable)"
            )
        elif distinct[index] < MIN_GROUPS_PER_CLASS:
            problems.append(
                f"class {name!r} has {_count(distinct[index], f'different {noun}')}, near copies "
                f"counted once; it needs at least {MIN_GROUPS_PER_CLASS}"
            )
    if problems:
        raise DataProblem(
            problems[0] if len(problems) == 1 else f"{len(problems)} classes need more {noun}s",
            fix=f"add the missing {noun}s and train again, or train on fewer with min_per_class",
            details=capped(problems),
        )


def capped(lines: Sequence[str], limit: int = MAX_DETAILS) -> list[str]:
    """Return at most `limit` lines, closed by how many more there are."""
    if len(lines) <= limit:
        return list(lines)
    return [*lines[:limit], f"and {len(lines) - limit:,} more"]


_LEAK = Problem(
    Flag.LEAK, "given for the test, but it is a copy of a training example: give another one"
)
_ABSENT = Problem(Flag.MISSING, "the example was never inspected: upload it again")


def _problems(frozen: Manifest, facts: Facts) -> _SetAside:
    """What ingestion flagged already, and what inspection could not open."""
    aside: _SetAside = {}
    for i, example in enumerate(frozen.examples):
        found = facts.get(example.sha256, _ABSENT)
        if example.flags:
            aside[i] = Problem(example.flags[0], example.note)
        elif isinstance(found, Problem):
            aside[i] = found
    return aside


def _copies(frozen: Manifest, aside: _SetAside) -> list[list[int]]:
    """Indices of usable examples with the same bytes, two or more each."""
    by_content: dict[str, list[int]] = {}
    for i, example in enumerate(frozen.examples):
        if i not in aside:
            by_content.setdefault(example.sha256, []).append(i)
    return [copies for copies in by_content.values() if len(copies) > 1]


def _conflicts(frozen: Manifest, aside: _SetAside) -> _SetAside:
    """Nobody but the uploader can say which label is right, so no copy is used."""
    conflicts: _SetAside = {}
    for copies in _copies(frozen, aside):
        labels = sorted({frozen.examples[i].class_index for i in copies})
        if len(labels) > 1:
            names = " and ".join(repr(frozen.classes[index]) for index in labels[:3])
            problem = Problem(
                Flag.CONFLICT,
                f"the same {NOUNS[frozen.kind]} is labelled {names}: keep it in one class only",
            )
            conflicts |= dict.fromkeys(copies, problem)
    return conflicts


def _duplicates(frozen: Manifest, aside: _SetAside, previous_test: Set[str]) -> _SetAside:
    """All but one copy; one given for training is kept before one given as test."""
    duplicates: _SetAside = {}
    for copies in _copies(frozen, aside):
        kept = min(copies, key=lambda i: frozen.examples[i].requested_split is Split.TEST)
        learns = frozen.examples[kept].requested_split is not Split.TEST
        stays = frozen.examples[kept].sha256 in previous_test
        for i in copies:
            if i == kept:
                continue
            is_test = frozen.examples[i].requested_split is Split.TEST
            duplicates[i] = (
                _LEAK
                if is_test and learns and not stays
                else Problem(
                    Flag.DUPLICATE,
                    f"the same {NOUNS[frozen.kind]} as {frozen.examples[kept].source!r}",
                )
            )
    return duplicates


def _measured(example: Example, facts: Facts) -> Example:
    found = facts[example.sha256]
    if not isinstance(found, ImageFacts):
        return example
    return replace(example, width=found.width, height=found.height)


def _with_groups(examples: Sequence[Example], facts: Facts) -> list[Example]:
    """Name every group of near duplicates by its smallest content hash."""
    grouped = list(examples)
    pictures = [found for e in examples if isinstance(found := facts[e.sha256], ImageFacts)]
    texts = [found for e in examples if isinstance(found := facts[e.sha256], TextFacts)]
    for members in near_duplicate_groups(pictures) if pictures else same_likeness(texts):
        name = min(examples[i].sha256 for i in members)
        for i in members:
            grouped[i] = _marked(replace(examples[i], group=name), Flag.NEAR_DUPLICATE)
    return grouped


def _with_outliers(examples: Sequence[Example]) -> list[Example]:
    if not examples or not examples[0].width:
        return list(examples)  # texts of very different lengths are nothing odd
    median = statistics.median(_side(example) for example in examples)
    return [
        _marked(example, Flag.OUTLIER_SIZE)
        if not median / OUTLIER_FACTOR <= _side(example) <= median * OUTLIER_FACTOR
        else example
        for example in examples
    ]


def _side(example: Example) -> float:
    """Geometric mean of the sides, px."""
    return float((example.width * example.height) ** 0.5)


def _marked(example: Example, flag: Flag) -> Example:
    return replace(example, flags=(*example.flags, flag))


def _put_aside(example: Example, problem: Problem) -> Example:
    return replace(example, split=None, group="", flags=(problem.flag,), note=problem.note)


def _require_every_split(examples: Sequence[Example], classes: Sequence[str], noun: str) -> None:
    filled = {(example.class_index, example.split) for example in examples}
    problems = [
        f"class {name!r} has no {wanted} {noun}: its {noun}s are copies of one another or were "
        "all given for another split"
        for index, name in enumerate(classes)
        for wanted in Split
        if (index, wanted) not in filled
    ]
    if problems:
        raise DataProblem(
            problems[0],
            fix=f"add different {noun}s to the class, or let the split be made for you",
            details=capped(problems),
        )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
