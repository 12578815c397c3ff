"""A model's report: what is shown, what it says, and that no name can break the page."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from contracts.manifest import Example
from models.calibration_report import expected_calibration_error, reliability
from models.evaluation import Evaluation
from models.explained_mistakes import MOST_EXPLAINED, explained
from models.label_errors import LabelCheck, LabelError
from models.model_report import RIGHT_SHOWN, WRONG_PER_CLASS, ModelReport, model_report
from serving.explanation import (
    Explanation,
    PictureExplanation,
    TextExplanation,
    WeighedWord,
    explain,
)
from serving.predictor import Predictor
from serving.readers import Source
from serving.wording import words_of
from tests.serving.conftest import colour_card, colour_graph

CLASSES = ("cat", "dog <img src=x onerror=alert(1)>", "owl")


def evaluation(count: int = 120, classes: tuple[str, ...] = CLASSES) -> Evaluation:
    generator = np.random.default_rng(0)
    truth = np.arange(count) % len(classes)
    is_right = generator.random(count) < 0.7
    predicted = np.where(is_right, truth, (truth + 1) % len(classes))
    confidence = tuple(np.round(0.4 + 0.6 * generator.random(count), 6).tolist())
    return Evaluation(
        model_version="tuned-1",
        dataset_version="d" * 64,
        classes=classes,
        sha256s=tuple(f"{i:064x}" for i in range(count)),
        truth=tuple(truth.tolist()),
        predicted=tuple(predicted.tolist()),
        confidence=confidence,
        unscaled_confidence=confidence,
        rejected=tuple(number % 40 == 0 for number in range(count)),
        latency_ms=5.0,
        bundle_size_bytes=9_000_000,
    )


def examples(found: Evaluation, name: str = "photo {}.jpg") -> list[Example]:
    return [
        Example(sha256, index, name.format(number), 10)
        for number, (sha256, index) in enumerate(zip(found.sha256s, found.truth, strict=True))
    ]


def reported(found: Evaluation, source: Source, **more: Any) -> ModelReport:
    def load(chosen: Sequence[Example]) -> list[Source]:
        return [source] * len(chosen)

    more = {"explain": made_up} | more
    return model_report("me_pets", found, "net", 1.3, True, examples(found), load, **more)


def made_up(source: Source, class_name: str) -> Explanation:
    """Something of the right form for any class."""
    if not isinstance(source, str):
        heat = np.eye(14, dtype=np.float32)
        return PictureExplanation(class_name, 0.9, 0.1, heat, (0.0, 0.0, 1.0, 1.0))
    words = words_of(source)
    weighed = [
        WeighedWord(word.text, word.start, word.end, round(1 - 2 * place / len(words), 3))
        for place, word in enumerate(words)
    ]
    return TextExplanation(class_name, 0.9, 0.1, tuple(weighed), 1, len(source))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    Image.new("RGBA", (300, 40), "red").save(path)
    return path


def test_the_most_confident_mistakes_of_every_class_are_shown(picture: Path) -> None:
    found = evaluation()
    report = reported(found, picture)
    assert report.correct == found.correct
    assert sum(c.examples for c in report.classes) == 120
    assert np.array(report.confusion).sum() == 120
    for name in CLASSES:
        mine = [shown for shown in report.wrong if shown.right == name]
        missed = sum(
            truth == CLASSES.index(name) and truth != given
            for truth, given in zip(found.truth, found.predicted, strict=True)
        )
        assert len(mine) == min(WRONG_PER_CLASS, missed)
        assert [s.confidence for s in mine] == sorted((s.confidence for s in mine), reverse=True)
    assert len(report.right) == RIGHT_SHOWN
    assert all(shown.is_right for shown in report.right)
    assert all(shown.picture.startswith("data:image/jpeg;base64,") for shown in report.wrong)


def test_figures_follow_from_the_answers(picture: Path) -> None:
    found = replace(evaluation(4, ("a", "b")), truth=(0, 0, 1, 1), predicted=(0, 1, 1, 1))
    first, second = reported(found, picture).classes
    assert (first.recall, first.precision, first.f1) == (0.5, 1.0, pytest.approx(2 / 3))
    assert (second.recall, second.precision, second.f1) == (
        1.0,
        pytest.approx(2 / 3),
        pytest.approx(0.8),
    )


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        names = dict(attributes)
        assert not [name for name in names if name.startswith("on")]
        self.addresses += [value or "" for name, value in names.items() if name in {"src", "href"}]


def test_the_page_needs_no_network_and_runs_nothing(picture: Path) -> None:
    epochs = [{"val_accuracy": 0.7, "val_loss": 0.9}, {"val_accuracy": 0.8, "val_loss": 0.7}]
    page = _Page()
    page.feed(reported(evaluation(), picture, epochs=epochs).as_html())
    assert "script" not in page.tags
    assert page.addresses
    assert all(address.startswith("data:image/jpeg") for address in page.addresses)


@given(st.text(max_size=60))
def test_no_text_breaks_out_of_the_page(text: str) -> None:
    page = _Page()
    text = f"{text}</blockquote><script>alert(1)</script>"
    labels = doubtful(text, given=text, likelier=text, name=text)
    page.feed(reported(evaluation(30), text, labels=labels).as_html())
    assert "script" not in page.tags
    assert not page.addresses


def test_the_most_confident_mistakes_are_explained_by_the_model_itself(picture: Path) -> None:
    predictor = Predictor(colour_card(classes=CLASSES), colour_graph())
    report = reported(evaluation(600), picture, explain=partial(explain, predictor))
    whys = [shown for shown in report.wrong if shown.overlay]
    assert len(whys) == MOST_EXPLAINED == len(report.wrong)
    assert report.as_html().count("<div class='pair'>") == MOST_EXPLAINED
    document = report.as_dict()
    assert "overlay" not in document["wrong"][0]
    assert document["wrong"][0]["confidence_without"] is not None
    assert not any(shown.overlay for shown in report.right)


def test_no_more_are_explained_than_there_is_time_for(picture: Path) -> None:
    asked = [(picture, CLASSES[0])] * 5
    assert explained(made_up, asked, most_seconds=0) == [None] * 5
    assert None not in explained(made_up, asked)


def test_of_a_long_text_the_part_that_matters_is_shown() -> None:
    text = "filler " * 200 + "<b>prize</b> " + "filler " * 200

    def why(source: Source, class_name: str) -> Explanation:
        start = text.index("prize")
        words = (WeighedWord("prize", start, start + 5, 1.0), WeighedWord("filler", 0, 6, -0.5))
        return TextExplanation(class_name, 0.9, 0.2, words, 1, len(text))

    report = reported(evaluation(30), text, explain=why)
    for shown in report.wrong:
        (word,) = shown.words
        assert shown.text[word.start : word.end] == "prize"
    page = report.as_html()
    assert "&lt;b&gt;<mark class='for strong' title='+1.00'>prize</mark>&lt;/b&gt;" in page
    assert "20% without “<bdi>prize</bdi>”" in page


def test_many_classes_are_listed_by_pairs(picture: Path) -> None:
    classes = tuple(f"class {n}" for n in range(40))
    page = reported(evaluation(400, classes), picture).as_html()
    assert "was taken for" in page
    assert "class='matrix'" not in page


def test_a_flawless_model_has_no_wrong_answers(picture: Path) -> None:
    found = replace(evaluation(), predicted=evaluation().truth)
    assert "Wrong answers" not in reported(found, picture).as_html()


def doubtful(text: str = "", picture: str = "", **more: Any) -> LabelCheck:
    error = LabelError("a" * 64, "x/y.jpg", "test", CLASSES[0], CLASSES[1], 0.02, 0.97)
    return LabelCheck(120, 7, (replace(error, text=text, picture=picture, **more),))


def test_labels_worth_a_second_look_are_shown(picture: Path) -> None:
    report = reported(evaluation(), picture, labels=doubtful().with_sources([picture]))
    page = report.as_html()
    assert "Of 120 labels, training and test part together, 7 may be wrong" in page
    assert "labelled <b><bdi>cat</bdi></b> <span class='note'>(test)</span>" in page
    assert report.as_dict()["labels"]["errors"][0]["sha256"] == "a" * 64
    assert "picture" not in report.as_dict()["labels"]["errors"][0]
    none = reported(evaluation(), picture, labels=LabelCheck(120)).as_html()
    assert "None of the 120 labels stands out" in none
    assert "second look" not in reported(evaluation(), picture).as_html()


def test_for_programs_the_pictures_are_left_out(picture: Path) -> None:
    document = reported(evaluation(), picture).as_dict()
    assert "picture" not in document["wrong"][0]
    assert document["wrong"][0]["name"].startswith("photo ")


def test_calibration_is_the_gap_between_saying_and_being() -> None:
    confidence = np.array([0.9] * 10 + [0.6] * 10)
    is_right = np.array([True] * 9 + [False] + [True] * 3 + [False] * 7)
    assert expected_calibration_error(confidence, is_right) == pytest.approx(0.15)
    low, high = reliability(confidence, is_right)
    assert (low.examples, low.accuracy, high.accuracy) == (10, 0.3, 0.9)
    assert expected_calibration_error(np.array([]), np.array([], bool)) == 0


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50))
def test_every_answer_falls_into_one_bin(answers: list[tuple[float, bool]]) -> None:
    confidence, is_right = np.array([c for c, _ in answers]), np.array([r for _, r in answers])
    found = reliability(confidence, is_right)
    assert sum(part.examples for part in found) == len(answers)
    assert 0 <= expected_calibration_error(confidence, is_right) <= 1
