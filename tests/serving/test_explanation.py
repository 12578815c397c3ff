"""What an explanation points at, where the reason is known."""

import io
import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from contracts.bundle import ModelCard, TextPreprocessing
from contracts.errors import InvalidRequest, UnreadableExample
from contracts.manifest import Kind
from models import tfidf
from models.draft import draft_graph, fit_head
from models.encoder import PIXELS, extract, pixel_encoder
from serving.explanation import PictureExplanation, TextExplanation, explain
from serving.occlusion import CELLS
from serving.omission import MOST_ROWS
from serving.predictor import Predictor
from serving.readers import reader_of

COLOURS = ("crimson", "royalblue")
SIDE = 64


def picture(seed: int, colour: str, corner: tuple[int, int] = (0, 0), width: int = SIDE) -> bytes:
    """Grey noise, with a coloured patch in one corner (0 or 1 across and down)."""
    noise = np.random.default_rng(seed).integers(0, 256, (4, 4), dtype=np.uint8)
    grey = Image.fromarray(noise).resize((width, SIDE), Image.Resampling.BICUBIC)
    image = grey.convert("RGB")
    left, top = (width - SIDE) // 2 + corner[0] * 52, corner[1] * 52
    ImageDraw.Draw(image).rectangle((left, top, left + 11, top + 11), colour)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module", params=[(0, 0), (1, 0), (1, 1)], ids=str)
def corner(request: pytest.FixtureRequest) -> tuple[int, int]:
    found: tuple[int, int] = request.param
    return found


@pytest.fixture(scope="module")
def cornered(corner: tuple[int, int], tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A model whose classes differ by the colour of one corner and by nothing else."""
    encoder = tmp_path_factory.mktemp("encoder") / "pixels.onnx"
    encoder.write_bytes(pixel_encoder())
    labels = np.arange(120) % 2
    sources = [picture(n // 2, COLOURS[label], corner) for n, label in enumerate(labels)]
    features = extract(encoder, sources, reader_of(PIXELS), threads=1)
    head = fit_head(features, labels, np.zeros(120, bool), 2)
    card = ModelCard(Kind.IMAGE, COLOURS, PIXELS, "0" * 64, "pixels", "draft")
    return Predictor(card, draft_graph(encoder.read_bytes(), head))


@pytest.mark.parametrize("colour", COLOURS)
def test_the_corner_that_decides_is_the_brightest(
    cornered: Predictor, corner: tuple[int, int], colour: str
) -> None:
    found = explain(cornered, picture(2_000, colour, corner))
    assert isinstance(found, PictureExplanation)
    assert found.class_name == colour
    assert found.map.shape == (CELLS, CELLS)
    assert (found.map.min(), found.map.max()) == (0, 1)
    row, column = np.unravel_index(found.map.argmax(), found.map.shape)
    assert (column >= CELLS / 2, row >= CELLS / 2) == tuple(map(bool, corner))
    across, down = (slice(0, 4) if not side else slice(-4, None) for side in corner)
    assert found.map[down, across].mean() > 3 * found.map.mean()
    assert found.probability_without < found.probability


def test_the_box_says_where_the_model_looked(cornered: Predictor, corner: tuple[int, int]) -> None:
    wide = explain(cornered, picture(3, "crimson", corner, width=2 * SIDE))
    assert isinstance(wide, PictureExplanation)
    assert wide.box == (0.25, 0, 0.75, 1)


def test_a_question_about_another_class_is_answered(cornered: Predictor) -> None:
    source = picture(5, "crimson")
    one, other = (explain(cornered, source, colour) for colour in COLOURS)
    assert one.probability + other.probability == pytest.approx(1, abs=1e-5)
    assert (one.class_name, other.class_name) == COLOURS
    with pytest.raises(InvalidRequest, match="'green' is none") as refusal:
        explain(cornered, source, "green")
    assert "'royalblue'" in refusal.value.fix


def test_where_nothing_matters_nothing_is_bright(cornered: Predictor) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), "grey").save(buffer, "PNG")
    found = explain(cornered, buffer.getvalue())
    assert isinstance(found, PictureExplanation)
    assert found.map.max() < 0.5


def test_the_same_question_has_the_same_answer(cornered: Predictor) -> None:
    source = picture(7, "royalblue")
    first, second = (json.dumps(explain(cornered, source).as_dict()) for _ in range(2))
    assert first == second
    with pytest.raises(UnreadableExample):
        explain(cornered, b"no picture")


WORDS = "the cat sat on a mat and saw one dog run by it with some joy".split()  # noqa: SIM905


def sentence(generator: np.random.Generator, word: str) -> str:
    chosen = [*generator.choice(WORDS, 8), word]
    generator.shuffle(chosen)
    return " ".join(chosen)


def hinged_on_one_word(preprocessing: TextPreprocessing) -> Predictor:
    """A model of texts whose class hangs on one word."""
    generator, labels = np.random.default_rng(0), np.arange(200) % 2
    texts = [sentence(generator, ("prize", "lunch")[label]) for label in labels]
    model = tfidf.fit_tfidf(texts, labels, np.zeros(200, bool), 2)
    card = ModelCard(Kind.TEXT, ("spam", "ham"), preprocessing, "0" * 64, "tfidf", "draft")
    return Predictor(card, model.graph, tokenizer=model.tokenizer)


@pytest.fixture(scope="module")
def hinged() -> Predictor:
    return hinged_on_one_word(tfidf.PREPROCESSING)


def explained(predictor: Predictor, text: str, class_name: str = "") -> TextExplanation:
    found = explain(predictor, text, class_name)
    assert isinstance(found, TextExplanation)
    for word in found.words:
        assert text[word.start : word.end] == word.text
        assert -1 <= word.weight <= 1
    return found


@pytest.mark.parametrize(
    "text",
    [
        "the cat saw a Prize and sat on the mat",
        "PRIZE prize, one dog and a prize",  # hiding only one of them would change little
        "今すぐ 👩\u200d👧 prize «नमस्ते»",
        "some joy " * 9 + "prize " + "by it " * 9,
    ],
    ids=["one", "three", "scripts", "long"],
)
def test_the_word_that_decides_comes_first(hinged: Predictor, text: str) -> None:
    found = explained(hinged, text)
    assert (found.class_name, found.words[0].weight) == ("spam", 1)
    first = {word.text.lower() for word in found.words if word.weight == 1}
    assert first == {"prize"}
    assert found.probability_without < found.probability
    assert found.words_at_once == 1
    against = explained(hinged, text, "ham")
    assert against.words[-1].text.lower() == "prize"
    assert against.words[-1].weight < 0


@pytest.mark.parametrize("text", ["", " \u200b", "\ud83d", "?", "x" * 200_000])
def test_a_text_without_known_words_has_no_reason(hinged: Predictor, text: str) -> None:
    found = explained(hinged, text)
    assert all(word.weight == 0 for word in found.words)
    assert found.probability_without == found.probability


def test_a_long_text_is_asked_about_by_groups(
    hinged: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    whole = hinged.logits
    monkeypatch.setattr(
        hinged, "logits", lambda inputs: asked.append(len(inputs.rows)) or whole(inputs)
    )
    words = [f"w{n}" for n in range(1_000)]
    words[500] = "prize"
    found = explained(hinged, " ".join(words))
    assert sum(asked) <= MOST_ROWS + 1
    assert found.words_at_once == 6
    assert len(found.words) == 1_000
    assert "prize" in {word.text for word in found.words[:6]}
    far = explained(hinged, "w " * 6_000)
    assert far.characters < 2 * tfidf.PREPROCESSING.max_tokens


def test_of_a_text_in_windows_each_is_asked_about_alone() -> None:
    narrow = hinged_on_one_word(TextPreprocessing(max_tokens=5, max_windows=2))
    text = "cat sat on prize and a dog by the mat"
    found = explained(narrow, text)
    assert found.words[0].text == "prize"
    assert found.characters == len(text)
    assert len(explained(narrow, text + " and more of it").words) == 10
