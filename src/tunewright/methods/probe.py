"""A linear model on frozen embeddings: logistic or ridge regression, its strength chosen by cross-validation."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from torch import nn

from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array
from tunewright.methods._side_by_side import solver_of
from tunewright.methods._strength import Solver, Weights, choose_strength, given, linear
from tunewright.train.context import Context
from tunewright.train.examples import both_weights
from tunewright.train.fitted import Fitted

ITERATIONS = 300
TOLERANCE = 1e-4
ABSENT = 10.0
"""How far the bias of a class that a fold lacks lies below all others."""


def fit(context: Context) -> Fitted:
    """A linear head on the backbone as it is. Source: Alain and Bengio 2016, linear classifier probes."""
    solver = solver_of(context.kind, SOLVERS)
    if solver is None:
        raise TunewrightError(f"method 'probe' does not fit kind {context.target.kind!r}", "use --method full")
    embeddings, truth, counted = context.train_embeddings, context.embedded.truth, context.embedded.weights
    strength, scores, crossed = choose_strength(
        embeddings, truth, context.kind, solver, context.task.seed, lambda: context.run.stopping, weights=counted
    )
    facts = {"strength": strength, "cross_validation": scores}
    weights = solver(embeddings, truth, context.kind.size, strength, *given(counted))
    fitted = replace(_fitted(context, weights, facts), crossed=crossed if context.embedded is context.train else None)

    def refit() -> Fitted:
        both = np.concatenate([embeddings, context.validation_embeddings])
        every = given(both_weights(counted, context.validation.weights))
        weights = solver(both, np.concatenate([truth, context.validation.truth]), context.kind.size, strength, *every)
        again = _fitted(context, weights, facts)
        return replace(again, validation_logits=fitted.validation_logits, crossed=fitted.crossed)

    return replace(fitted, refit=refit)


def started_head(context: Context) -> nn.Module:
    """A head that starts from the probe, where the kind has a closed form."""
    start = context.start or (fit(context) if context.kind.closed_form else None)
    head = context.new_head()
    if start is not None:
        head.load_state_dict(start.head.state_dict())
    return head


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
