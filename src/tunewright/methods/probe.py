"""A linear model on frozen embeddings: logistic or ridge regression, its strength chosen by cross-validation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold
from torch import nn

from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array, Kind
from tunewright.methods._side_by_side import SideBySide, solver_of
from tunewright.train.context import Context, Fitted
from tunewright.train.examples import both_weights

STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Inverse regularisation C, weakest model first; embeddings have length 1, so useful values lie well above 1."""
FOLDS = 3
SEARCH_ROWS = 4_000
"""Rows that the strength is chosen on at the most; the fit itself takes all."""

ITERATIONS = 300
TOLERANCE = 1e-4
ABSENT = 10.0
"""How far the bias of a class that a fold lacks lies below all others."""

Weights = tuple[NDArray[np.float64], NDArray[np.float64]]
"""weight (k, d), bias (k,)"""
Solver = Callable[..., Weights]
"""(embeddings (n, d), which may be sparse, truth, k, strength) → weights of all k logits; behind these, where rows do
not count alike, how much each does (n,)"""


def fit(context: Context) -> Fitted:
    """A linear head on the backbone as it is. Source: Alain and Bengio 2016, linear classifier probes."""
    solver = solver_of(context.kind, SOLVERS)
    if solver is None:
        raise TunewrightError(f"method 'probe' does not fit kind {context.target.kind!r}", "use --method full")
    embeddings, truth, counted = context.train_embeddings, context.train.truth, context.train.weights
    strength, scores = choose_strength(
        embeddings, truth, context.kind, solver, context.task.seed, lambda: context.run.stopping, weights=counted
    )
    facts = {"strength": strength, "cross_validation": scores}
    fitted = _fitted(context, solver(embeddings, truth, context.kind.size, strength, *given(counted)), facts)

    def refit() -> Fitted:
        both = np.concatenate([embeddings, context.validation_embeddings])
        every = given(both_weights(counted, context.validation.weights))
        weights = solver(both, np.concatenate([truth, context.validation.truth]), context.kind.size, strength, *every)
        again = _fitted(context, weights, facts)
        return replace(again, validation_logits=fitted.validation_logits)

    return replace(fitted, refit=refit)


def started_head(context: Context) -> nn.Module:
    """A head that starts from the probe, where the kind has a closed form."""
    start = context.start or (fit(context) if context.kind.closed_form else None)
    head = context.new_head()
    if start is not None:
        head.load_state_dict(start.head.state_dict())
    return head


def choose_strength(
    embeddings: Any,
    truth: Array,
    kind: Kind,
    solver: Solver | SideBySide,
    seed: int,
    stopping: Callable[[], bool] = lambda: False,
    strengths: Sequence[float] = STRENGTHS,
    weights: Array | None = None,
) -> tuple[Any, dict[str, Any]]:
    """The strength with the best cross-validated row score, climbing from the middle while time allows.

    Of strengths that score alike the stronger regularisation wins. Several targets have a strength each.

    weights : (n,), how much each row counts; None = all alike
    """
    if isinstance(solver, SideBySide):
        return solver.strengths(
            embeddings, truth, lambda rows, own, of, by: choose_strength(rows, own, of, by, seed, stopping, strengths)
        )
    rows = np.random.default_rng(seed).permutation(len(truth))[:SEARCH_ROWS]
    embeddings, truth, weights = embeddings[rows], truth[rows], None if weights is None else weights[rows]
    folds = list(_folds(truth, seed))
    scores: dict[float, float] = {}

    def score(at: int) -> float:
        hits = []
        for learn, judge in folds:
            found = solver(embeddings[learn], truth[learn], kind.size, strengths[at], *given(weights, learn))
            hits.append(kind.row_score(linear(embeddings[judge], found), truth[judge]))
        counted = None if weights is None else np.concatenate([weights[judge] for _, judge in folds])
        scores[strengths[at]] = round(float(np.average(np.concatenate(hits), weights=counted)), 6)
        return scores[strengths[at]]

    middle = len(strengths) // 2
    if not folds:
        return strengths[middle], {}
    best, top = middle, score(middle)
    for step in (1, -1):
        at = middle + step
        while 0 <= at < len(strengths) and not stopping():
            found = score(at)
            if found < top or (step > 0 and found == top):
                break
            best, top, at = at, found, at + step
        if best != middle:
            break
    return strengths[best], {f"{strength:g}": scores[strength] for strength in sorted(scores)}


def given(weights: Array | None, rows: Any = slice(None)) -> tuple[Array, ...]:
    """What follows the other arguments of a solver: the weights of some rows, or nothing."""
    return () if weights is None else (weights[rows],)


def _folds(truth: Array, seed: int) -> Iterator[tuple[Array, Array]]:
    labels = truth.ndim == 1 and truth.dtype.kind == "i"
    if len(truth) < 2 * FOLDS or (labels and np.bincount(truth).max() < FOLDS):
        return iter(())
    splitter = (StratifiedKFold if labels else KFold)(FOLDS, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        return iter(list(splitter.split(np.zeros(len(truth)), truth if labels else None)))


def linear(embeddings: Any, weights: Weights) -> Array:
    """float32 (n, k): the logits of a linear model."""
    return np.asarray(embeddings @ weights[0].T + weights[1], np.float32)


def _fitted(context: Context, weights: Weights, facts: dict[str, Any]) -> Fitted:
    head = context.new_head()
    head.start(torch.from_numpy(weights[0]), torch.from_numpy(weights[1]))  # type: ignore[operator]
    logits = linear(context.validation_embeddings, weights)
    size = weights[0].size + weights[1].size
    return Fitted("probe", context.backbone.encoder, head, logits, {**facts, "trainable_parameters": size})


def _logistic(embeddings: Any, truth: Array, size: int, strength: float, weights: Array | None = None) -> Weights:
    # Each strength starts anew: from the solution of another one the library takes its small gradient for the end.
    model = LogisticRegression(C=strength, max_iter=ITERATIONS, tol=TOLERANCE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return of_all_classes(model, embeddings, truth, size, weights)


def of_all_classes(model: Any, embeddings: Any, truth: Array, size: int, weights: Array | None = None) -> Weights:
    """Weights of all k logits from a linear classifier of scikit-learn; a class that the rows lack lies far below."""
    classes = np.unique(truth)
    weight, bias = np.zeros((size, embeddings.shape[1])), np.zeros(size)
    if len(classes) < 2:
        return weight, np.where(np.arange(size) == classes[0], 0.0, -ABSENT)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The number of unique classes", category=UserWarning)
        model.fit(embeddings, truth, sample_weight=weights)
    if len(classes) == 2:  # one row of sigmoid weights → two of softmax
        weight[classes] = np.concatenate([-model.coef_, model.coef_]) / 2
        bias[classes] = np.concatenate([-model.intercept_, model.intercept_]) / 2
    else:
        weight[classes], bias[classes] = model.coef_, model.intercept_
    return weight, np.where(np.isin(np.arange(size), classes), bias, bias[classes].min() - ABSENT)


def _logistic_per_label(embeddings: Any, truth: Array, size: int, strength: float) -> Weights:
    return per_label(_logistic, embeddings, truth, size, strength)


def per_label(solver: Solver, embeddings: Any, truth: Array, size: int, strength: float) -> Weights:
    """One binary model for each label."""
    pairs = [solver(embeddings, truth[:, at].astype(np.int64), 2, strength) for at in range(size)]
    return np.stack([weight[1] - weight[0] for weight, _ in pairs]), np.array([bias[1] - bias[0] for _, bias in pairs])


def _ridge(embeddings: Any, truth: Array, size: int, strength: float) -> Weights:
    scaled = (truth - truth.mean()) / (truth.std() or 1.0)
    model = Ridge(alpha=1 / strength).fit(embeddings.astype(np.float64), scaled)
    return model.coef_[None], np.array([model.intercept_])


SOLVERS: dict[str, Solver] = {"logistic": _logistic, "logistic_per_label": _logistic_per_label, "ridge": _ridge}
