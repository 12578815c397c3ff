"""Requests are kept where the owner has chosen so, and an answer never depends on it."""

import json
from typing import Any

import pytest

from contracts.identity import Project
from contracts.keys import ProjectKeys
from lambdas.request_log import FRESH_SECONDS, PAUSE_SECONDS, RequestLog
from serving.request import Question

KEYS = ProjectKeys(Project("ann", "cats"))
ANSWER = {
    "label": "spam",
    "probabilities": {"spam": 0.9, "ham": 0.1},
    "model_version": "tuned-1",
    "explanation": {"class": "spam"},
}
TEXT = Question(("You have won",))


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Shelf:
    """What S3 and the state table do, as far as they can fail."""

    def __init__(self, share: float) -> None:
        self.clock, self.share = Clock(), share
        self.objects: dict[str, Any] = {}
        self.is_broken = False
        self.reads = self.tries = 0
        self.log = RequestLog(KEYS, self.put, self.read, self.clock)

    def put(self, key: str, data: bytes) -> None:
        self.tries += 1
        if self.is_broken:
            raise TimeoutError
        self.objects[key] = json.loads(data)

    def read(self) -> None:
        self.reads += 1
        if self.is_broken:
            raise TimeoutError
        self.log.learn(self.share)


def test_a_kept_request_holds_the_example_and_the_answer() -> None:
    shelf = Shelf(1.0)
    assert shelf.log.keep("r-1", TEXT, ANSWER)
    ((key, document),) = shelf.objects.items()
    assert key.startswith("users/ann/cats/requests/20")
    assert key.endswith("/r-1.json")
    assert document.pop("at") > 1.7e9
    assert document == {
        "request_id": "r-1",
        "content_type": "text/plain",
        "example": {"text": "You have won"},
        "label": "spam",
        "probabilities": {"spam": 0.9, "ham": 0.1},
        "model_version": "tuned-1",
    }


def test_pictures_and_lists_are_kept_as_json_takes_them() -> None:
    shelf = Shelf(1.0)
    shelf.log.keep("r-1", Question((b"\x89PNG\r\n\x1a\n",)), ANSWER)
    shelf.log.keep("r-2", Question(("a", "b"), is_list=True), {"predictions": [1, 2]})
    picture, texts = shelf.objects.values()
    assert picture["content_type"] == "image/png"
    assert picture["example"] == {"image_base64": "iVBORw0KGgo="}
    assert texts["example"] == {"text": ["a", "b"]}
    assert texts["predictions"] == [1, 2]


def test_by_default_nothing_is_kept_and_the_table_is_asked_once_a_minute() -> None:
    shelf = Shelf(0.0)
    assert not any(shelf.log.keep(f"r-{n}", TEXT, ANSWER) for n in range(100))
    assert (shelf.reads, shelf.tries) == (1, 0)


def test_a_share_is_sampled() -> None:
    shelf = Shelf(0.25)
    kept = sum(shelf.log.keep(f"r-{n}", TEXT, ANSWER) for n in range(2_000))
    assert 400 < kept < 600


def test_a_change_takes_effect_within_a_minute_and_an_outage_ends_it() -> None:
    shelf = Shelf(1.0)
    assert shelf.log.keep("r-1", TEXT, ANSWER)
    shelf.share = 0.0
    shelf.clock.now += FRESH_SECONDS
    assert not shelf.log.keep("r-2", TEXT, ANSWER)
    shelf.share, shelf.is_broken = 1.0, True
    shelf.clock.now += FRESH_SECONDS
    for number in range(10):
        assert not shelf.log.keep(f"r-{number}", TEXT, ANSWER)
    assert shelf.reads == 3  # nobody waits for the table at every request


def test_a_broken_store_is_left_alone_for_a_while() -> None:
    shelf = Shelf(1.0)
    shelf.log.learn(1.0)
    shelf.is_broken = True
    assert not any(shelf.log.keep(f"r-{n}", TEXT, ANSWER) for n in range(10))
    assert shelf.tries == 1
    shelf.is_broken = False
    shelf.clock.now += PAUSE_SECONDS
    assert shelf.log.keep("r-11", TEXT, ANSWER)


@pytest.mark.parametrize("request_id", ["../../eve", "", "a/b"])
def test_a_strange_id_is_no_key_and_no_error(request_id: str) -> None:
    shelf = Shelf(1.0)
    assert not shelf.log.keep(request_id, TEXT, ANSWER)
    assert not shelf.objects


def test_half_a_character_does_not_silence_the_log() -> None:
    shelf = Shelf(1.0)
    assert shelf.log.keep("r-1", Question(("a \ud83d b",)), ANSWER)
    assert shelf.log.keep("r-2", TEXT, ANSWER)
    assert [document["example"]["text"] for document in shelf.objects.values()] == [
        "a ? b",
        "You have won",
    ]
