"""TF-IDF and logistic regression in the serving form, without scikit-learn in it.

It is the draft where no sentence encoder can be had, and the baseline that any other model of text
is told against. Source: Salton and Buckley 1988; the graph is ONNX's own TfIdfVectorizer.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from contracts.bundle import TextPreprocessing
from models.draft import LinearHead, fit_head
from models.encoder import IR_VERSION, OPSET
from serving.windows import open_tokenizer, windows

# A text is one window: counting words needs no attention.
PREPROCESSING: Final = TextPreprocessing(max_tokens=4_096, max_windows=1)

_MAX_WORDS: Final = 30_000
_MAX_FEATURES: Final = 20_000
_MAX_WEIGHTS: Final = 10_000_000  # of all classes together, 40 MB
CANDIDATES: Final = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)  # from strong to weak regularisation
_SPECIAL: Final = ["[PAD]", "[UNK]"]  # ids 0 and 1, which count for nothing
_TEXTS_AT_ONCE: Final = 4_096

_Gram = tuple[int, ...]  # ids of one word or of two that follow one another


@dataclass(frozen=True, slots=True, eq=False)
class TfIdfModel:
    """A graph from `tokens` `(n, length)` to `logits` `(n, classes)`, and its tokenizer."""

    graph: bytes
    tokenizer: bytes
    head: LinearHead


def fit_tfidf(
    texts: Sequence[str], labels: NDArray[np.int64], is_validation: NDArray[np.bool_], classes: int
) -> TfIdfModel:
    """Fit on words and pairs of words; regularisation and held-out answers are `fit_head`'s.

    Raises `DataProblem` when a class has no example to learn from.
    """
    counted = _counted(texts, classes)
    head = fit_head(counted.features, labels, is_validation, classes, candidates=CANDIDATES)
    return TfIdfModel(_graph(counted.grams, counted.weights, head), counted.tokenizer, head)


def features(texts: Sequence[str], classes: int) -> Any:
    """Sparse rows `(texts, grams)` float32, as `fit_tfidf` learns from."""
    return _counted(texts, classes).features


@dataclass(frozen=True, slots=True, eq=False)
class _Counted:
    tokenizer: bytes
    grams: list[_Gram]
    weights: NDArray[np.float32]  # (grams,)
    features: Any  # (texts, grams), sparse


def _counted(texts: Sequence[str], classes: int) -> _Counted:
    tokenizer = _tokenizer(texts)
    documents = [_grams(ids) for ids in _ids(tokenizer, texts)]
    grams = _chosen(documents, min(_MAX_FEATURES, max(_MAX_WEIGHTS // classes, 1_000)))
    weights = _inverse_frequencies(documents, grams)
    return _Counted(tokenizer, grams, weights, _normalised(documents, grams, weights))


def _tokenizer(texts: Sequence[str]) -> bytes:
    """Words in lower case, and signs; only what was seen in training has an id of its own."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))  # noqa: S106 - no password
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(
        Regex(r"\w+|[^\w\s]+"), behavior="removed", invert=True
    )
    trainer = trainers.WordLevelTrainer(
        vocab_size=_MAX_WORDS, special_tokens=_SPECIAL, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer.to_str().encode()


def _ids(tokenizer: bytes, texts: Sequence[str]) -> list[NDArray[np.int64]]:
    opened = open_tokenizer(tokenizer, PREPROCESSING)
    rows: list[NDArray[np.int64]] = []
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        found = windows(opened, texts[start : start + _TEXTS_AT_ONCE], PREPROCESSING)
        rows += [parts[0] for parts in found]
    return rows


def _grams(ids: NDArray[np.int64]) -> Counter[_Gram]:
    words = ids.tolist()
    counts = Counter[_Gram]((word,) for word in words if word >= len(_SPECIAL))
    counts.update(pair for pair in pairwise(words) if min(pair) >= len(_SPECIAL))
    return counts


def _chosen(documents: Sequence[Counter[_Gram]], most: int) -> list[_Gram]:
    """The grams of most documents, single words before pairs; one seen once is chance."""
    frequencies: Counter[_Gram] = Counter()
    for document in documents:
        frequencies.update(document.keys())
    least = 2 if len(documents) >= 1_000 else 1
    # Ties are broken by the ids, so that the same texts give the same model.
    ranked = sorted(frequencies.items(), key=lambda item: (-item[1], item[0]))[:most]
    kept = (
        [gram for gram, count in ranked if count >= least] or [ranked[0][0]] if ranked else [(2,)]
    )
    return sorted(kept, key=lambda gram: (len(gram), gram))


def _inverse_frequencies(
    documents: Sequence[Counter[_Gram]], grams: Sequence[_Gram]
) -> NDArray[np.float32]:
    """Smoothed as scikit-learn's TfidfVectorizer does."""
    seen: Counter[_Gram] = Counter()
    for document in documents:
        seen.update(document.keys())
    counts = np.array([seen[gram] for gram in grams], np.float64)
    return (np.log((1 + len(documents)) / (1 + counts)) + 1).astype(np.float32)


def _normalised(
    documents: Sequence[Counter[_Gram]], grams: Sequence[_Gram], weights: NDArray[np.float32]
) -> Any:
    """Sparse rows of length 1, `(documents, grams)` float32."""
    from scipy.sparse import csr_matrix

    index = {gram: column for column, gram in enumerate(grams)}
    values, columns, ends = [], [], [0]
    for document in documents:
        found = [(index[gram], count) for gram, count in document.items() if gram in index]
        row = np.array([count * weights[column] for column, count in found], np.float32)
        values.append(row / max(float(np.linalg.norm(row)), 1e-9))
        columns += [column for column, _ in found]
        ends.append(len(columns))
    return csr_matrix(
        (np.concatenate(values), np.array(columns, np.int32), np.array(ends, np.int32)),
        shape=(len(documents), len(grams)),
        dtype=np.float32,
    )


def _graph(grams: Sequence[_Gram], weights: NDArray[np.float32], head: LinearHead) -> bytes:
    singles = sum(len(gram) == 1 for gram in grams)
    nodes = [
        helper.make_node(
            "TfIdfVectorizer",
            ["tokens"],
            ["counts"],
            mode="TFIDF",
            min_gram_length=1,
            max_gram_length=2,
            max_skip_count=0,
            ngram_counts=[0, singles],
            ngram_indexes=list(range(len(grams))),
            pool_int64s=[word for gram in grams for word in gram],
            weights=weights.tolist(),
        ),
        helper.make_node("ReduceL2", ["counts"], ["length"], axes=[1], keepdims=1),
        helper.make_node("Max", ["length", "tiny"], ["divisor"]),  # a text may hold no known word
        helper.make_node("Div", ["counts", "divisor"], ["features"]),
        helper.make_node("Gemm", ["features", "head.weight", "head.bias"], ["logits"], name="head"),
    ]
    graph = helper.make_graph(
        nodes,
        "tfidf",
        [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["n", "length"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", len(head.bias)])],
        [
            numpy_helper.from_array(np.array(1e-9, np.float32), "tiny"),
            numpy_helper.from_array(head.weight, "head.weight"),
            numpy_helper.from_array(head.bias, "head.bias"),
        ],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(model)
    serialised: bytes = model.SerializeToString()
    return serialised
