"""Word counts as a graph: what scikit-learn computes, from the serving code."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from contracts.errors import DataProblem
from models import tfidf
from serving.predictor import open_session
from serving.readers import reader_of
from tests.texts import labelled_texts

NAMES = ["food", "sport", "weather"]


def fitted(per_class: int = 60) -> tuple[tfidf.TfIdfModel, list[str]]:
    rows = labelled_texts(per_class)
    texts, labels = [text for text, _ in rows], np.array([NAMES.index(name) for _, name in rows])
    return tfidf.fit_tfidf(texts, labels, np.arange(len(labels)) % 6 == 0, 3), texts


def logits(model: tfidf.TfIdfModel, texts: list[str]) -> np.ndarray:
    inputs = reader_of(tfidf.PREPROCESSING, model.tokenizer).read(texts)
    found: np.ndarray = open_session(model.graph).run(None, {"tokens": inputs.rows})[0]
    return inputs.merged(found)


def test_it_learns_and_says_how_well() -> None:
    model, _ = fitted()
    unseen = labelled_texts(40, seed=1)
    answers = logits(model, [text for text, _ in unseen]).argmax(1)
    assert (answers == [NAMES.index(name) for _, name in unseen]).mean() > 0.95
    assert model.head.validation_accuracy > 0.95


def test_the_graph_gives_what_scikit_learn_does() -> None:
    model, texts = fitted()
    features = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]+").fit_transform(
        texts
    )
    assert features.shape[1] == model.head.weight.shape[0]
    # The orders of the columns differ: with the same features, some weights give the same answers.
    given = logits(model, texts) - model.head.bias
    weights, *_ = np.linalg.lstsq(features.toarray(), given, rcond=None)
    assert np.abs(features @ weights - given).max() < 1e-3


def test_order_and_padding_do_not_matter() -> None:
    model, texts = fitted()
    alone = np.concatenate([logits(model, [text]) for text in texts[:20]])
    assert np.abs(logits(model, texts[:20]) - alone).max() < 1e-5


@pytest.mark.parametrize("text", ["", "unbekannt", "😀", "שלום", "x" * 100_000])
def test_texts_without_a_known_word_get_an_answer(text: str) -> None:
    model, _ = fitted(12)
    assert np.isfinite(logits(model, [text])).all()


def test_the_same_texts_give_the_same_model() -> None:
    assert fitted()[0].graph == fitted()[0].graph


def test_a_class_without_texts_is_told() -> None:
    with pytest.raises(DataProblem):
        tfidf.fit_tfidf(["a", "b"], np.array([0, 0]), np.array([False, False]), 2)


def test_texts_without_words_leave_a_graph() -> None:
    model = tfidf.fit_tfidf(["😀", ""] * 4, np.array([0, 1] * 4), np.zeros(8, bool), 2)
    assert logits(model, ["?", "😀"]).shape == (2, 2)


def test_a_long_text_is_one_window() -> None:
    model, _ = fitted(12)
    inputs = reader_of(tfidf.PREPROCESSING, model.tokenizer).read(["rain " * 10_000])
    assert inputs.counts.tolist() == [1]
