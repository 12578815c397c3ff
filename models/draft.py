"""The draft: a linear classifier on frozen features, solved in seconds and served as one graph.

scikit-learn is imported by the functions: it takes 2 s, and whoever only checks data needs none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from contracts.errors import DataProblem
from models.calibration import log_loss

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

# From strong to weak regularisation, on standardised features.
CANDIDATES: Final = (1e-4, 1e-3, 3e-3, 1e-2, 1e-1, 1.0)
FEW_PER_CLASS: Final = 50  # below, a validation part is too small to choose by
FOLDS: Final = 5

Rows = Any  # (n, feature_dim) float32, or the same as a sparse matrix of SciPy
_Labels = NDArray[np.int64]  # (n,)


@dataclass(frozen=True, slots=True, eq=False)
class LinearHead:
    """`features @ weight + bias` gives logits.

    `held_out_logits` come from models that had not seen those examples: use them for temperature
    and threshold. `validation_accuracy` is theirs, too.
    """

    weight: NDArray[np.float32]  # (feature_dim, classes)
    bias: NDArray[np.float32]  # (classes,)
    c_regularisation: float
    validation_accuracy: float
    held_out_logits: NDArray[np.float32]  # (m, classes)
    held_out_labels: NDArray[np.int64]  # (m,)


def fit_head(
    features: Rows,
    labels: _Labels,
    is_validation: NDArray[np.bool_],
    classes: int,
    learn_validation: bool = True,
    candidates: Sequence[float] = CANDIDATES,
    *,
    is_balanced: bool = False,
) -> LinearHead:
    """Solve multinomial logistic regression, its regularisation chosen on held-out examples.

    These are the validation part or, below `FEW_PER_CLASS`, every example in turn (cross
    validation). With `learn_validation` the final head also learns from the validation part.
    `candidates` are tried from strong to weak regularisation; sparse features are taken as they
    are, others are standardised. `is_balanced` lets rare classes weigh as much as frequent ones.
    Raises `DataProblem` when a class has no example to learn from.
    """
    _check_classes(labels[~is_validation], classes)
    usable = np.ones_like(is_validation) if learn_validation else ~is_validation
    folds = _folds(labels, is_validation, usable, classes)
    held_out = np.concatenate([score for _, score in folds])
    best_c, logits = _choose_c(features, labels, folds, classes, candidates, is_balanced)
    weight, bias = _Solver(features[usable], labels[usable], classes, is_balanced).solve(best_c)
    return LinearHead(
        weight=weight,
        bias=bias,
        c_regularisation=best_c,
        validation_accuracy=float((logits.argmax(1) == labels[held_out]).mean()),
        held_out_logits=logits,
        held_out_labels=labels[held_out],
    )


def refit(
    features: Rows,
    labels: _Labels,
    classes: int,
    c_regularisation: float,
    *,
    is_balanced: bool = False,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Solve once more on other rows: weight `(feature_dim, classes)` and bias `(classes,)`."""
    return _Solver(features, labels, classes, is_balanced).solve(c_regularisation)


def cross_validated_logits(
    features: Rows,
    labels: _Labels,
    groups: Sequence[str],
    classes: int,
    candidates: Sequence[float] = CANDIDATES,
) -> NDArray[np.float32] | None:
    """Logits `(n, classes)` of heads that saw neither the example nor any other of its group.

    The first fold chooses the regularisation for all. None where a class is too small for that.
    """
    from threadpoolctl import threadpool_limits

    folds = _grouped_folds(labels, groups, classes)
    if not folds:
        return None
    found = np.empty((len(labels), classes), np.float32)
    # A training may have the other cores: threads that wait for each other are ten times slower.
    with threadpool_limits(1):
        (_, first), *others = folds
        best_c, found[first] = _choose_c(
            features, labels, folds[:1], classes, candidates, is_balanced=False
        )
        for learn, score in others:
            weight, bias = refit(features[learn], labels[learn], classes, best_c)
            found[score] = features[score] @ weight + bias
    return found


def draft_graph(encoder: bytes, head: LinearHead) -> bytes:
    """Join an encoder's graph and a head into one that gives `logits` and `features`."""
    model = onnx.load_from_string(encoder)
    graph = model.graph
    (features,) = graph.output
    graph.initializer.extend(
        [
            numpy_helper.from_array(head.weight, "head.weight"),
            numpy_helper.from_array(head.bias, "head.bias"),
        ]
    )
    graph.node.append(
        helper.make_node(
            "Gemm", [features.name, "head.weight", "head.bias"], ["logits"], name="head"
        )
    )
    shape: list[str | int | None] = ["n", len(head.bias)]
    logits = helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, shape)
    graph.output.insert(0, logits)
    onnx.checker.check_model(model)
    serialised: bytes = model.SerializeToString()
    return serialised


_Fold = tuple[NDArray[np.int64], NDArray[np.int64]]  # rows to learn from, rows to score


def _folds(
    labels: _Labels, is_validation: NDArray[np.bool_], usable: NDArray[np.bool_], classes: int
) -> list[_Fold]:
    smallest = int(np.bincount(labels[usable], minlength=classes).min())
    if is_validation.any() and smallest >= FEW_PER_CLASS:
        return [(np.flatnonzero(~is_validation), np.flatnonzero(is_validation))]
    rows = np.flatnonzero(usable)
    if smallest < 2:  # nothing can be held out of a class of one
        return [(rows, rows)]
    from sklearn.model_selection import StratifiedKFold

    splitter = StratifiedKFold(min(FOLDS, smallest), shuffle=True, random_state=0)
    splits = splitter.split(rows, labels[rows])
    return [(rows[learn], rows[score]) for learn, score in splits]


def _grouped_folds(labels: _Labels, groups: Sequence[str], classes: int) -> list[_Fold]:
    """Every example is scored once; every class is learnt from in each fold, or there are none."""
    from sklearn.model_selection import StratifiedGroupKFold

    smallest = int(np.bincount(labels, minlength=classes).min())
    if smallest < 2:
        return []
    splitter = StratifiedGroupKFold(min(FOLDS, smallest), shuffle=True, random_state=0)
    folds = list(splitter.split(labels, labels, np.unique(groups, return_inverse=True)[1]))
    learnt = [len(np.unique(labels[learn])) for learn, _ in folds]
    return folds if min(learnt) == classes else []


def _choose_c(
    features: Rows,
    labels: _Labels,
    folds: list[_Fold],
    classes: int,
    candidates: Sequence[float],
    is_balanced: bool,
) -> tuple[float, NDArray[np.float32]]:
    """Return the C of the least held-out log loss, and the held-out logits it gave."""
    solvers = [_Solver(features[learn], labels[learn], classes, is_balanced) for learn, _ in folds]
    truth = np.concatenate([labels[score] for _, score in folds])
    best_c, best_loss, best_logits = 0.0, np.inf, np.empty((0, classes), np.float32)
    for c in candidates:
        heads = [solver.solve(c) for solver in solvers]
        pairs = zip(folds, heads, strict=True)
        logits = np.concatenate([features[score] @ head[0] + head[1] for (_, score), head in pairs])
        loss = log_loss(logits, truth)
        if loss > best_loss:
            break  # from here on it only overfits more, and takes ever longer
        best_c, best_loss, best_logits = c, loss, logits
    return best_c, best_logits


class _Solver:
    """Solves one part of the data for growing C, each time from the solution before."""

    def __init__(self, features: Rows, labels: _Labels, classes: int, is_balanced: bool) -> None:
        from sklearn.linear_model import LogisticRegression

        self._mean, self._scale = np.zeros(1, np.float32), np.ones(1, np.float32)
        self._rows = features
        if isinstance(features, np.ndarray):
            self._mean, scale = features.mean(axis=0), features.std(axis=0)
            # What hardly varies here may well do so elsewhere, and must not drown the others.
            self._scale = np.maximum(scale, 0.3 * scale.mean() + 1e-9)
            self._rows = (features - self._mean) / self._scale
        self._labels, self._classes = labels, classes
        self._model = LogisticRegression(
            max_iter=300,
            warm_start=True,
            tol=1e-3,
            class_weight="balanced" if is_balanced else None,
        )

    def solve(self, c: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weight and bias for raw features: standardisation is folded in."""
        self._model.set_params(C=c).fit(self._rows, self._labels)
        coefficients, intercept = _per_class(self._model, self._classes)
        weight = (coefficients / self._scale).T
        bias = intercept - (self._mean @ weight if len(self._mean) > 1 else 0.0)
        return weight.astype(np.float32), bias.astype(np.float32)


def _per_class(
    model: "LogisticRegression", classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`(classes, feature_dim)` and `(classes,)`, also for two classes, where one row is stored."""
    if classes > 2:
        return model.coef_, model.intercept_
    half = model.coef_[0] / 2
    return np.stack([-half, half]), np.array([-0.5, 0.5]) * model.intercept_[0]


def _check_classes(labels: _Labels, classes: int) -> None:
    missing = np.flatnonzero(np.bincount(labels, minlength=classes) == 0)
    if classes < 2 or len(missing):
        raise DataProblem(
            f"classes {missing.tolist()} of {classes} have no training example",
            fix="give every class pictures, and at least two classes",
        )
