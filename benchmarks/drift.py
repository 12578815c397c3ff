"""How often a steady endpoint is said to drift, and how often one that does is found out.

python -m benchmarks.drift --weights mobilenet_v2_imagenet.pth FOLDER_PER_CLASS ANOTHER_FOLDER

A model learns from the first set. Some of its test pictures, drawn anew each time, stand for the
test split that it is judged by, and answers to the others, or to what has become of them, for what
its endpoint is asked.
"""

import argparse
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter
from rich.console import Console
from rich.table import Table

from benchmarks.pictures import TEST, Pictures
from benchmarks.recipes import DRAFT, run_as_deployed
from benchmarks.rejection import served
from contracts.answer_counts import AnswerCounts
from models.drift import Latest, judge
from serving.predictor import Predictor
from serving.readers import Source

Answer = tuple[str | None, float]
Pools = dict[str, list[Answer]]
Random = np.random.Generator
Change = Callable[[Image.Image], Image.Image]
Draw = Callable[[Pools, list[int], int, Random], list[Answer]]

SAME = "the same"
_COLUMNS = ((60, 100), (60, 1_000), (250, 100), (250, 1_000))  # test pictures, answers
_DAYS = 30
_LOOKS = 20  # a day
_ROWS = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs=2)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--recipes", nargs="+", default=[DRAFT])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--months", type=int, default=100)
    options = parser.parse_args()
    run_as_deployed("benchmarks.drift")
    for recipe in options.recipes:
        pools = [
            asked(
                served(Pictures.read(options.folders[0], seed), recipe, options.weights, seed),
                *(Pictures.read(folder, seed) for folder in options.folders),
            )
            for seed in options.seeds
        ]
        print(recipe, {name: len(answers) for name, answers in pools[0].items()}, file=sys.stderr)
        show(recipe, pools, options.draws, options.months)


def asked(predictor: Predictor, known: Pictures, other: Pictures) -> dict[str, list[Answer]]:
    """Answers to all test pictures, in one order, and to what may come instead."""
    paths, _ = known.of(TEST)
    changes: dict[str, Change] = {
        "blurred by 1 px": lambda p: p.filter(ImageFilter.GaussianBlur(1)),
        "blurred by 3 px": lambda p: p.filter(ImageFilter.GaussianBlur(3)),
        "a third of the light": lambda p: ImageEnhance.Brightness(p).enhance(1 / 3),
        "turned by 90 degrees": lambda p: p.transpose(Image.Transpose.ROTATE_90),
    }
    pools = {SAME: answers_to(predictor, paths)}
    for name, change in changes.items():
        pools[name] = answers_to(predictor, [changed(path, change) for path in paths])
    return pools | {"another set": answers_to(predictor, other.of(TEST)[0])}


def answers_to(predictor: Predictor, sources: Sequence[Source]) -> list[Answer]:
    return [
        (answer.label, round(max(answer.probabilities.values()), 4))
        for start in range(0, len(sources), _ROWS)
        for answer in predictor.answers(sources[start : start + _ROWS])
    ]


def changed(path: Path, change: Change) -> bytes:
    buffer = io.BytesIO()
    with Image.open(path) as picture:
        change(picture.convert("RGB")).save(buffer, "PNG")
    return buffer.getvalue()


def show(recipe: str, pools: list[Pools], draws: int, months: int) -> None:
    heads = (f"{tests} tests, {count:,} answers" for tests, count in _COLUMNS)
    table = Table("what comes", *heads, box=None)
    table.title = f"{recipe}: how often it is said to drift"
    for name, draw in scenes(pools[0]).items():
        shares = [alarms(pools, draw, tests, count, draws) for tests, count in _COLUMNS]
        table.add_row(name, *(f"{share:.1%}" for share in shares))
    Console(width=130).print(table)
    for tests in sorted({tests for tests, _ in _COLUMNS}):
        for per_day in (20, 100, 1_000):
            share = false_months(pools, tests, per_day, months)
            print(
                f"{tests} tests, {per_day:,} answers a day, all the same: "
                f"{share:.1%} of months have an alarm"
            )


def scenes(pools: Pools) -> dict[str, Draw]:
    """What comes, drawn from answers; the last of it in part only."""

    def all_of(name: str) -> Draw:
        return lambda pools, usual, count, random: drawn(
            elsewhere(pools, name, usual), count, random
        )

    def two_classes(pools: Pools, usual: list[int], count: int, random: Random) -> list[Answer]:
        labels = sorted({label for label, _ in pools[SAME] if label})[:2]
        known = [pools[SAME][row] for row in usual if pools[SAME][row][0] in labels]
        return drawn(known, count, random)

    def mixed(share: float) -> Draw:
        def draw(pools: Pools, usual: list[int], count: int, random: Random) -> list[Answer]:
            strange = round(share * count)
            same = [pools[SAME][row] for row in usual]
            return [
                *drawn(pools["another set"], strange, random),
                *drawn(same, count - strange, random),
            ]

        return draw

    found = {SAME: all_of(SAME), "the same, of two classes only": two_classes}
    found |= {name: all_of(name) for name in pools if name not in {SAME, "another set"}}
    return found | {f"{share:.0%} of another set": mixed(share) for share in (0.1, 0.3, 1.0)}


def elsewhere(pools: Pools, name: str, usual: list[int]) -> list[Answer]:
    return [pools[name][row] for row in usual]


def drawn(answers: list[Answer], count: int, random: Random) -> list[Answer]:
    return [answers[row] for row in random.integers(len(answers), size=count)]


def alarms(pools: list[Pools], draw: Draw, tests: int, count: int, draws: int) -> float:
    """The share of draws that are judged as drift."""
    found = []
    for seed, pool in enumerate(pools):
        random = np.random.default_rng(seed)
        for _ in range(draws):
            reference, usual = parted(pool, tests, random)
            recent = counted(draw(pool, usual, count, random))
            found.append(judge(recent, reference).is_drifting)
    return float(np.mean(found))


def parted(pool: Pools, tests: int, random: Random) -> tuple[AnswerCounts, list[int]]:
    """Answers to so many test pictures, and which the others are, half of all at least."""
    rows = random.permutation(len(pool[SAME]))
    tests = min(tests, len(rows) // 2)
    return counted([pool[SAME][row] for row in rows[:tests]]), rows[tests:].tolist()


def false_months(pools: list[Pools], tests: int, per_day: int, months: int) -> float:
    """The share of months in which a steady endpoint is said to drift, looked at as it is."""
    found = []
    for seed, pool in enumerate(pools):
        random = np.random.default_rng(seed)
        found += [has_alarm(pool, tests, per_day, random) for _ in range(months)]
    return float(np.mean(found))


def has_alarm(pool: Pools, tests: int, per_day: int, random: Random) -> bool:
    reference, usual = parted(pool, tests, random)
    days: list[tuple[str, AnswerCounts]] = []
    judged, judged_from = 0, ""
    for day in range(_DAYS):
        days.insert(0, (str(day), AnswerCounts()))
        for _ in range(_LOOKS):
            more = drawn([pool[SAME][row] for row in usual], per_day // _LOOKS, random)
            days[0][1].take(counted(more))
            latest = Latest.of(days)
            if latest.is_due(judged, judged_from):
                judged, judged_from = latest.answers.total, latest.first_day
                if judge(latest.answers, reference).is_drifting:
                    return True
    return False


def counted(answers: list[Answer]) -> AnswerCounts:
    counts = AnswerCounts()
    for label, confidence in answers:
        counts.add(label, confidence)
    return counts


if __name__ == "__main__":
    main()
