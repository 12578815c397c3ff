"""The inference handler on a bundle of text."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.bundle import TOKENIZER_FILE, ModelCard
from contracts.identity import Project
from contracts.manifest import Kind
from lambdas import predict
from lambdas.state import State
from models import tfidf
from models.bundle_writer import write_bundle
from tests.conformance import check_answer
from tests.texts import labelled_texts

PROJECT = Project("ada", "texts")
KEY = "xk_text"
NAMES = ("food", "sport", "weather")
Ask = Callable[..., tuple[int, dict[str, Any]]]


def write_text_bundle(folder: Path) -> ModelCard:
    rows = labelled_texts(60)
    labels = np.array([NAMES.index(name) for _, name in rows])
    model = tfidf.fit_tfidf([t for t, _ in rows], labels, np.zeros(len(rows), bool), 3)
    card = ModelCard(Kind.TEXT, NAMES, tfidf.PREPROCESSING, "d" * 64, "tfidf", "draft")
    return write_bundle(folder, card, model.graph, model.tokenizer)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    write_text_bundle(folder)
    return folder


@pytest.fixture
def ask(
    bundle: Path, emulator: Any, state_table: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ask]:
    monkeypatch.setattr(predict, "BUNDLE", bundle)
    monkeypatch.setenv("EXEMPLAR_USER", PROJECT.user)
    monkeypatch.setenv("EXEMPLAR_PROJECT", PROJECT.name)
    State(emulator.client("dynamodb"), state_table).add_key(PROJECT, KEY)
    caches = (predict.predictor, predict.key_check, predict._table)
    for cache in caches:
        cache.cache_clear()

    def send(document: Any, key: str = KEY) -> tuple[int, dict[str, Any]]:
        event = {
            "requestContext": {"http": {"method": "POST"}},
            "headers": {"content-type": "application/json", "x-api-key": key},
            "body": json.dumps(document),
        }
        answer = predict.handler(event, None)
        found = json.loads(answer["body"])
        check_answer("POST", "/", answer["statusCode"], found)
        return answer["statusCode"], found

    yield send
    for cache in caches:
        cache.cache_clear()


def test_a_text_is_answered(ask: Ask) -> None:
    status, answer = ask({"text": "The team won the match in the last minute"})
    assert (status, answer["label"]) == (200, "sport")
    assert list(answer["probabilities"]) == list(NAMES)
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert answer["model_version"].startswith("draft-")


def test_a_list_is_answered_in_its_order(ask: Ask) -> None:
    status, answer = ask({"text": ["we ate bread with butter", "rain and wind by the coast"]})
    assert status == 200
    assert [one["label"] for one in answer["predictions"]] == ["food", "weather"]
    assert "label" not in answer


def test_a_text_is_explained_by_its_words(ask: Ask) -> None:
    text = "Rain 🌧️ and wind by the coast"
    _, plain = ask({"text": text})
    status, answer = ask({"text": text, "explain": True})
    explanation = answer.pop("explanation")
    assert (status, answer) == (200, plain)
    assert explanation["class"] == plain["label"] == "weather"
    assert explanation["characters"] == len(text)
    words = explanation["words"]
    assert sorted(word["start"] for word in words) == [0, 5, 8, 12, 17, 20, 24]
    assert all(text[word["start"] : word["end"]] == word["text"] for word in words)
    weights = [word["weight"] for word in words]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] == 1
    listed = ask({"text": [text], "explain": True})[1]["predictions"]
    assert [one["explanation"] for one in listed] == [explanation]


@pytest.mark.parametrize(
    "wish",
    [
        *({"explain": value} for value in ("yes please", None, 2, [], {"class": "food"}, 0.5)),
        *({"explain": True, "class": name} for name in ("cricket", 5, None, ["food"])),
        {"explain": True, "text": ["rain", "wind"]},
    ],
    ids=str,
)
def test_a_nonsensical_wish_is_refused_with_a_fix(ask: Ask, wish: dict[str, Any]) -> None:
    status, answer = ask({"text": "rain"} | wish)
    assert (status, answer["error"]["code"]) == (400, "invalid_request")
    assert answer["error"]["fix"]


@pytest.mark.parametrize(
    "text",
    ["😀" * 500, "مرحبا بالعالم", "שלום", "\u202eabc", "x" * 100_000, "rain " * 20_000, "\ud83d"],
)
@pytest.mark.parametrize("explain", [False, True])
def test_anything_that_people_write_gets_an_answer(ask: Ask, text: str, explain: bool) -> None:
    status, answer = ask({"text": text, "explain": explain})
    assert status == 200
    assert answer["label"] in NAMES
    assert ("explanation" in answer) == explain


@pytest.mark.parametrize("document", [{}, {"text": ""}, {"text": 1}, {"image_base64": "aGk="}])
def test_what_is_no_text_is_refused_with_a_fix(ask: Ask, document: Any) -> None:
    status, answer = ask(document)
    assert status == 400
    assert answer["error"]["fix"]


def test_more_than_can_be_sent_is_told(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand classes with long names, a hundred times."""
    monkeypatch.setattr(predict, "_MAX_ANSWER_BYTES", 1_000)
    assert ask({"text": ["rain"] * 3})[0] == 200
    status, answer = ask({"text": ["rain"] * 100})
    assert (status, answer["error"]["code"]) == (413, "limit_exceeded")
    assert "at most" in answer["error"]["fix"]


@pytest.mark.parametrize("explain", [False, True])
def test_what_would_take_too_long_is_told_in_time(ask: Ask, explain: bool) -> None:
    class NoTime:
        aws_request_id = ""

        def get_remaining_time_in_millis(self) -> int:
            return 0

    text = "rain" if explain else ["rain", "wind"]
    answer = predict.handler({"text": text, "explain": explain}, NoTime())
    assert answer["error"]["code"] == "limit_exceeded"
    assert "fewer or shorter" in answer["error"]["fix"]
    assert ask({"text": "rain"})[0] == 200


def test_without_the_key_nothing_is_answered(ask: Ask) -> None:
    assert ask({"text": "rain"}, key="wrong")[0] == 401


def test_a_missing_or_altered_tokenizer_is_told(ask: Ask, bundle: Path) -> None:
    tokenizer = bundle / TOKENIZER_FILE
    whole = tokenizer.read_bytes()
    try:
        for data in (whole + b" ", None):
            tokenizer.write_bytes(data) if data else tokenizer.unlink()
            predict.predictor.cache_clear()
            status, answer = ask({"text": "rain"})
            assert (status, answer["error"]["code"]) == (500, "bundle_invalid")
    finally:
        tokenizer.write_bytes(whole)


def test_a_text_needs_no_picture_library(bundle: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from serving.predictor import Predictor; "
        f"Predictor.load(Path({str(bundle)!r})).answer('rain'); "
        "heavy = {'PIL', 'torch', 'transformers', 'sklearn', 'scipy', 'onnx', 'huggingface_hub'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
