"""Vector scaling: a factor and a bias for the logit of each class, fitted on held-out rows where that is sure to help.

Source: Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2 (vector scaling).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tunewright.core.types import Array
from tunewright.kinds._pooled import log_softmax

FEWEST_ROWS, ROWS_OF_A_CLASS = 200, 10
"""Held-out rows in all, and for each class on the average, below which no factors are fitted."""
FOLDS = 5
PENALTY = 3.0
"""Weight of half the squared distance from factor 1 and bias 0, beside the summed loss."""
STEPS = 30

Scaling = tuple[NDArray[np.float64], NDArray[np.float64]]
"""factor (k,), bias (k,)"""


def better_scaling(logits: Array, truth: Array) -> tuple[Scaling, Array] | None:
    """Factors and biases, where they lower the cross-validated log loss by more than its standard error.

    Parameters
    ----------
    logits : (n, k), divided by the temperature already
    truth : int64 (n,)

    Returns
    -------
    The scaling of all rows, and logits (n, k) of which each row is scaled by what the rows of other folds gave; None
    where there are too few rows, or where it does not help.
    """
    n, k = logits.shape
    if n < max(FEWEST_ROWS, ROWS_OF_A_CLASS * k):
        return None
    apart = _out_of_fold(logits, truth)
    gain = row_loss(logits, truth) - row_loss(apart, truth)
    if gain.mean() <= gain.std(ddof=1) / math.sqrt(n):
        return None
    return fit_scaling(logits, truth), apart


def fit_scaling(logits: Array, truth: Array, penalty: float = PENALTY) -> Scaling:
    """Least log loss plus penalty, by Newton's method; the problem is convex.

    logits : (n, k); truth : int64 (n,)
    """
    n, k = logits.shape
    z, wanted = logits.astype(np.float64), np.eye(k)[truth]
    here = np.concatenate([np.ones(k), np.zeros(k)])
    start = here.copy()

    def loss(at: Array) -> float:
        return float(row_loss(z * at[:k] + at[k:], truth).sum() + penalty / 2 * ((at - start) ** 2).sum())

    value = loss(here)
    for _ in range(STEPS):
        proba = np.exp(log_softmax(z * here[:k] + here[k:]))
        gradient = np.concatenate([((proba - wanted) * z).sum(0), (proba - wanted).sum(0)]) + penalty * (here - start)
        step = np.linalg.solve(_curvature(z, proba, penalty), gradient)
        size = 1.0
        while (lower := loss(here - size * step)) > value and size > 1e-6:
            size /= 2
        if value - lower <= 1e-9 * n:
            break
        here, value = here - size * step, lower
    return here[:k], here[k:]


def _curvature(z: Array, proba: Array, penalty: float) -> NDArray[np.float64]:
    """float64 (2k, 2k): second derivatives of the summed loss."""
    wide = np.concatenate([z * proba, proba], axis=1)
    k, out = z.shape[1], -wide.T @ wide
    at = np.arange(k)
    out[at, at] += (z * z * proba).sum(0)
    out[at, at + k] += (z * proba).sum(0)
    out[at + k, at] += (z * proba).sum(0)
    out[at + k, at + k] += proba.sum(0)
    return np.asarray(out + penalty * np.eye(2 * k))


def row_loss(logits: Array, truth: Array) -> NDArray[np.float64]:
    """float64 (n,): the negative log-likelihood of each row."""
    return np.asarray(-log_softmax(logits)[np.arange(len(truth)), truth])


def _out_of_fold(logits: Array, truth: Array) -> NDArray[np.float64]:
    out = np.zeros(logits.shape)
    for judged in np.array_split(np.random.default_rng(0).permutation(len(truth)), FOLDS):
        others = np.setdiff1d(np.arange(len(truth)), judged)
        factor, bias = fit_scaling(logits[others], truth[others])
        out[judged] = logits[judged] * factor + bias
    return out
