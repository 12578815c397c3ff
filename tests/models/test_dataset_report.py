"""The report: right numbers, bounded size, and names that stay text."""

import json
from dataclasses import asdict, replace
from html.parser import HTMLParser

import pytest

from contracts.manifest import Example, Flag, Manifest, Split
from models.dataset_report import MAX_NAMED, report
from tests.models.labelled_pictures import example, manifest

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</title><script>alert(1)</script>",
    "a | b",
    "[click](javascript:alert(1))",
    "![x](http://example.org/x.png)",
    "`code` *bold* _under_",
    '" onload="alert(1)',
    "😀 \u05d0\u05d1",
]


def prepared(names: list[str], classes: tuple[str, ...] = ("cat", "dog")) -> Manifest:
    splits = (Split.TRAIN, Split.TRAIN, Split.VALIDATION, Split.TEST)
    used = [
        replace(example(name, i % 2), split=splits[i % 4], width=100 + i, height=50)
        for i, name in enumerate(names)
    ]
    aside = replace(example("bad.jpg", 0), flags=(Flag.UNREADABLE,), note="cut off")
    return manifest([*used, aside], classes)


def grouped(used: list[Example]) -> list[Example]:
    return [replace(e, group="g", flags=(Flag.NEAR_DUPLICATE,)) for e in used]


def test_counts_and_findings() -> None:
    made = report(prepared([f"{i}.jpg" for i in range(8)]))
    assert (made.examples, made.usable) == (9, 8)
    cat = made.classes[0]
    assert (cat.train, cat.validation, cat.test, cat.set_aside) == (2, 2, 0, 1)
    assert made.set_aside[0].files == ["bad.jpg"]
    width = made.distributions[0]
    assert (width.minimum, width.median, width.maximum) == (100.0, 103.5, 107.0)


def test_it_is_json() -> None:
    made = report(prepared(HOSTILE))
    assert json.loads(json.dumps(asdict(made)))["usable"] == len(HOSTILE)
    assert json.loads(json.dumps(made.summary()))["usable"] == len(HOSTILE)


def test_near_copies_under_different_labels_are_pointed_out() -> None:
    base = prepared(["a.jpg", "b.jpg", "c.jpg", "d.jpg"])
    made = report(replace(base, examples=(*grouped(list(base.examples[:2])), *base.examples[2:])))
    assert made.mixed_labels == [["a.jpg (cat)", "b.jpg (dog)"]]
    assert "Near copies under different labels (1)" in made.as_html()


def test_long_lists_are_bounded() -> None:
    aside = [
        replace(example(f"{i}.jpg", 0), flags=(Flag.UNREADABLE,), note="n" * 500)
        for i in range(5_000)
    ]
    made = report(manifest(aside))
    assert made.set_aside[0].count == 5_000
    assert len(made.set_aside[0].files) == MAX_NAMED
    assert len(json.dumps(made.summary())) < 5_000


class Tags(HTMLParser):
    """Collects what a browser would take for tags and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_text_in_html(name: str) -> None:
    class_name = name[:64].strip()
    page = report(prepared([name, "b", "c", "d"], (class_name, "dog"))).as_html()
    tags = Tags()
    tags.feed(page)
    assert not tags.seen & {"script", "img", "a", "iframe"}
    assert not {a for a in tags.attributes if a.startswith("on") or a in {"src", "href"}}
    assert "http" not in page.replace(name, "").replace("http://example", "")


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_text_in_markdown(name: str) -> None:
    source = report(prepared(["a", "b", "c", "d"], (name[:64].strip(), "dog"))).as_markdown()
    row = next(line for line in source.splitlines() if line.endswith("| 1 | 1 | 0 | 1 |"))
    assert "<" not in row
    assert row.replace("\\|", "").count("|") == 6
    assert "](" not in row
    assert "`" not in row.replace("\\`", "")


def test_an_empty_data_set_can_be_reported() -> None:
    made = report(manifest([]))
    assert made.distributions == []
    assert "0 of 0 examples" in made.as_html()
