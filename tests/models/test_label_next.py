"""What is suggested is uncertain, typical, different from each other, and new."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from models import label_next
from models.label_next import Candidate, choose, suggestions, survey, uncertainty, units_of
from models.novelty import Memory, novelty, with_features, with_novelty
from serving.predictor import Predictor, open_session
from tests.serving.conftest import CLASSES, colour_card, colour_graph


def unit(rows: list[list[float]]) -> np.ndarray:
    found = np.array(rows, np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_uncertainty_is_between_the_two_likeliest() -> None:
    rows = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.6, 0.3, 0.1]], np.float32)
    assert uncertainty(rows) == pytest.approx([1.0, 0.0, 0.7])


def test_the_unsure_come_first_and_copies_and_known_ones_never() -> None:
    generator = np.random.default_rng(0)
    units = units_of(generator.normal(size=(40, 30)).astype(np.float32))
    units[1] = units[0]
    probabilities = np.tile(np.array([[0.9, 0.1]], np.float32), (40, 1))
    probabilities[:4] = [0.5, 0.5]
    units[:2] = np.abs(units[:2])
    chosen = choose(probabilities, units, 10, known=units[3:4])
    assert {chosen[0], chosen[1]} <= {0, 1, 2}
    assert len({0, 1} & set(chosen)) == 1
    assert 3 not in chosen
    assert len(chosen) == len(set(chosen)) == 10


def test_of_two_alike_groups_each_gets_one_before_any_gets_two() -> None:
    units = unit([[1, 0.3 * i, 0] for i in range(3)] + [[0, 0.3 * i, 1] for i in range(3)])
    chosen = choose(np.full((6, 2), 0.5, np.float32), units, 2)
    assert sorted(index // 3 for index in chosen) == [0, 1]


def test_no_more_than_there_are() -> None:
    assert choose(np.empty((0, 2), np.float32), np.empty((0, 0), np.float32), 5) == []
    assert choose(np.full((1, 2), 0.5, np.float32), unit([[1, 0]]), 5) == [0]


def test_very_many_features_keep_their_likenesses() -> None:
    rows = np.random.default_rng(0).normal(size=(2, 5_000)).astype(np.float32)
    rows = np.concatenate([rows, rows[:1] + 0.1 * rows[1:]])
    units = units_of(rows)
    assert units.shape == (3, 256)
    assert abs(units[0] @ units[1]) < 0.25
    assert units[0] @ units[2] > 0.95


def colours(*, scored: bool = True) -> bytes:
    """The test bundle's graph; its mean colours are its features."""
    model = onnx.load_from_string(colour_graph())
    renamed = {"flat": "features"} | ({} if scored else {"novelty": "other"})
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [renamed.get(name, name) for name in names]
    if not scored:
        del model.graph.output[1]
    serialised: bytes = model.SerializeToString()
    return serialised


@pytest.fixture
def predictor() -> Predictor:
    graph, known = with_features(colours())
    assert known is None
    return Predictor(colour_card(rejection_threshold=-0.1), graph)


def picture(path: Path, colour: tuple[int, int, int]) -> Candidate:
    Image.new("RGB", (16, 16), colour).save(path)
    return Candidate(path.name, path)


def test_the_model_says_what_it_takes_them_for_and_why(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_next, "MOST_WEIGHED", 3)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nno")

    def candidates() -> Iterator[Candidate]:
        yield picture(tmp_path / "red.png", (255, 0, 0))
        yield Candidate("broken.png", broken)
        yield picture(tmp_path / "orange.png", (255, 245, 0))
        yield picture(tmp_path / "grey.png", (60, 60, 60))
        for number in range(20):
            yield picture(tmp_path / f"{number}.png", (255, number, 0))

    seen: list[int] = []
    pool = survey(predictor, candidates(), seen.append)
    assert (pool.seen, seen[-1], len(pool.candidates)) == (24, 24, 3)
    assert sum(pool.left_out.values()) == 1
    found = {one.name: one for one in suggestions(pool, CLASSES, 10)}
    assert found["orange.png"].guess == "rot"
    assert found["orange.png"].reason == "unsure between rot and grün"
    assert found["grey.png"].guess is None
    assert found["grey.png"].reason == "unlike anything it has learnt from"


def test_a_served_graph_gives_its_features_and_what_it_remembers() -> None:
    rows = units_of(np.random.default_rng(0).random((20, 3)).astype(np.float32))
    memory = Memory(rows.astype(np.float16), 0.5)
    graph, known = with_features(with_novelty(colours(scored=False), memory))
    assert known is not None
    assert np.array_equal(known, memory.rows.astype(np.float32))
    pixels = np.random.default_rng(1).random((4, 3, 16, 16)).astype(np.float32)
    outputs = open_session(graph).run(["features", "novelty"], {"image": pixels})
    assert outputs[1] == pytest.approx(novelty(outputs[0], memory), abs=1e-5)
