"""What was found in a data set, as numbers, as Markdown and as a page of its own."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from contracts.manifest import Example, Flag, Manifest, Split
from models.report_page import html_page, markdown_page
from models.telling_words import telling_words

_SHOWN_CHARACTERS: Final = 60  # of a text
MAX_NAMED: Final = 20  # files or groups listed per finding; the manifest has all of them


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """How many examples of a class are used for what."""

    name: str
    train: int
    validation: int
    test: int
    set_aside: int


@dataclass(frozen=True, slots=True)
class Finding:
    """Examples that share a flag; `files` and `notes` belong together and are capped."""

    reason: str
    count: int
    files: list[str]
    notes: list[str]


@dataclass(frozen=True, slots=True)
class Distribution:
    """Quantiles of one measure over the examples that are used."""

    name: str
    minimum: float
    lower_quarter: float
    median: float
    upper_quarter: float
    maximum: float


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """Everything a person should know before trusting a model trained on this."""

    project: str
    version: str
    examples: int
    usable: int
    classes: list[ClassCounts]
    set_aside: list[Finding]
    unusual: list[Finding]  # used, but worth a look
    near_duplicate_groups: int
    near_duplicates: list[list[str]]  # capped
    mixed_groups: int
    mixed_labels: list[list[str]]  # near duplicates under different labels, `file (class)`; capped
    distributions: list[Distribution]
    telling_words: list[tuple[str, list[str]]]  # of each class of text

    def summary(self) -> dict[str, Any]:
        """The short form for a project's record and the page: its size is bounded."""
        return {
            "examples": self.examples,
            "usable": self.usable,
            "classes": [asdict(counts) for counts in self.classes[:100]],
            "set_aside": [
                {
                    "reason": finding.reason,
                    "count": finding.count,
                    "files": [name[:200] for name in finding.files[:5]],
                    "note": finding.notes[0][:300] if finding.notes else "",
                }
                for finding in self.set_aside
            ],
            "near_duplicate_groups": self.near_duplicate_groups,
            "mixed_label_groups": self.mixed_groups,
        }

    def as_markdown(self) -> str:
        """Tables for a Prefect artifact; names are escaped."""
        return markdown_page(self)

    def as_html(self) -> str:
        """One self-contained page without scripts; names are escaped."""
        return html_page(self)


def report(manifest: Manifest, texts: Mapping[str, str] | None = None) -> DatasetReport:
    """Describe a prepared manifest; `texts`, by SHA-256, are those of a data set of text."""
    used = [example for example in manifest.examples if example.split]
    name = _namer(texts or {})
    groups = _groups(used)
    mixed = [group for group in groups if len({e.class_index for e in group}) > 1]
    return DatasetReport(
        project=manifest.project.slug,
        version=manifest.version,
        examples=len(manifest.examples),
        usable=len(used),
        classes=_class_counts(manifest),
        set_aside=_findings((e for e in manifest.examples if not e.split), name),
        unusual=_findings((e for e in used if Flag.OUTLIER_SIZE in e.flags), name),
        near_duplicate_groups=len(groups),
        near_duplicates=[[name(e) for e in g[:MAX_NAMED]] for g in groups[:MAX_NAMED]],
        mixed_groups=len(mixed),
        mixed_labels=[
            [f"{name(e)} ({manifest.classes[e.class_index]})" for e in group[:MAX_NAMED]]
            for group in mixed[:MAX_NAMED]
        ],
        distributions=_distributions(used) if texts is None else _lengths(used, texts),
        telling_words=[] if texts is None else _telling_words(manifest, texts),
    )


_Namer = Callable[[Example], str]


def _namer(texts: Mapping[str, str]) -> _Namer:
    """How an example is named: a text by its beginning, too, since nobody knows it by its line."""

    def name(example: Example) -> str:
        text = texts.get(example.sha256)
        if text is None:
            return example.source
        words = " ".join(text.split())
        shown = words if len(words) <= _SHOWN_CHARACTERS else f"{words[:_SHOWN_CHARACTERS]}…"
        return f"{example.source} “{shown}”"

    return name


def _class_counts(manifest: Manifest) -> list[ClassCounts]:
    counts = Counter((example.class_index, example.split) for example in manifest.examples)
    return [
        ClassCounts(
            name=name,
            train=counts[index, Split.TRAIN],
            validation=counts[index, Split.VALIDATION],
            test=counts[index, Split.TEST],
            set_aside=counts[index, None],
        )
        for index, name in enumerate(manifest.classes)
    ]


def _findings(examples: Iterable[Example], name: _Namer) -> list[Finding]:
    """One finding per flag, the most frequent first."""
    by_flag: dict[str, list[Example]] = {}
    for example in examples:
        # Set aside means one flag; an outlier may be a near duplicate as well.
        flag = Flag.OUTLIER_SIZE if Flag.OUTLIER_SIZE in example.flags else example.flags[0]
        by_flag.setdefault(flag.value, []).append(example)
    return [
        Finding(
            reason=reason,
            count=len(found),
            files=[name(example) for example in found[:MAX_NAMED]],
            notes=[example.note for example in found[:MAX_NAMED]],
        )
        for reason, found in sorted(by_flag.items(), key=lambda item: -len(item[1]))
    ]


def _groups(used: Sequence[Example]) -> list[list[Example]]:
    groups: dict[str, list[Example]] = {}
    for example in used:
        if example.group:
            groups.setdefault(example.group, []).append(example)
    return [group for group in groups.values() if len(group) > 1]


def _distributions(used: Sequence[Example]) -> list[Distribution]:
    measured = [example for example in used if example.width and example.height]
    if not measured:
        return []
    width = np.array([example.width for example in measured], float)
    height = np.array([example.height for example in measured], float)
    size = np.array([example.size_bytes for example in measured], float)
    measures = {
        "width in pixels": width,
        "height in pixels": height,
        "width over height": width / height,
        "file size in kB": size / 1000,
    }
    return [_quantiles(name, values) for name, values in measures.items()]


def _lengths(used: Sequence[Example], texts: Mapping[str, str]) -> list[Distribution]:
    found = [texts[example.sha256] for example in used]
    characters = np.array([len(text) for text in found], float)
    words = np.array([len(text.split()) for text in found], float)
    return [_quantiles("characters", characters), _quantiles("words", words)] if found else []


def _telling_words(manifest: Manifest, texts: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """Of the training part: nobody should look at the test part before the model has."""
    learnt = manifest.select(Split.TRAIN)
    found = telling_words(
        [texts[example.sha256] for example in learnt],
        [example.class_index for example in learnt],
        len(manifest.classes),
    )
    return list(zip(manifest.classes, found, strict=True))


def _quantiles(name: str, values: "np.ndarray[Any, Any]") -> Distribution:
    points = [round(float(q), 2) for q in np.quantile(values, [0, 0.25, 0.5, 0.75, 1])]
    return Distribution(name, *points)
