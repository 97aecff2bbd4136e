"""What kinds with one vector of logits per row share: windows gathered, softmax, sigmoid, temperature, labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from tunewright.core.errors import TunewrightError, nearest
from tunewright.core.types import Array, Windows


def mean_of_windows(logits: Sequence[Array], windows: Windows, size: int) -> Array:
    """Logits (k,) of m windows → float32 (n, k): the mean over a row's windows, weighted by their cost.

    size : k, which no logits tell where there are no rows
    """
    stacked = np.array(logits, np.float32) if len(logits) else np.zeros((0, size), np.float32)
    if len(windows) == windows.rows:
        return stacked
    out = np.zeros((windows.rows, stacked.shape[1]), np.float32)
    np.add.at(out, windows.owner, stacked * windows.share()[:, None].astype(np.float32))
    return out


def softmax(logits: Array) -> Array:
    """Along the last axis, float64 inside."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    proba: Array = shifted / shifted.sum(-1, keepdims=True)
    return proba


def sigmoid(logits: Array) -> Array:
    """1 / (1 + e^-x), float64 inside, without overflow."""
    small = np.exp(-np.abs(logits.astype(np.float64)))
    return np.where(logits >= 0, 1 / (1 + small), small / (1 + small))


def log_softmax(logits: Array) -> Array:
    """Along the last axis, float64 inside."""
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    out: Array = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return out


def one_against_rest(logits: Array) -> Array:
    """ln of p / (1 - p) of each softmax probability p, float64; the largest loses no digits to 1 - p.

    >>> one_against_rest(np.array([[2.0, 0.0]])).round(6).tolist()
    [[2.0, -2.0]]
    """
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    weights, best = np.exp(shifted), shifted.argmax(-1)[..., None]
    rest = weights.sum(-1, keepdims=True) - weights
    others = weights.copy()
    np.put_along_axis(others, best, 0.0, -1)
    np.put_along_axis(rest, best, others.sum(-1, keepdims=True), -1)
    out: Array = shifted - np.log(np.maximum(rest, np.finfo(np.float64).tiny))
    return out


PRIOR = 0.5
"""Standard deviation of a temperature's logarithm before any row is seen: a handful of rows must not move it far."""


def best_temperature(loss: Callable[[float], float], rows: int, low: float = 0.05, high: float = 20.0) -> float:
    """The most probable temperature, by golden-section search on its logarithm.

    loss : temperature → mean log loss of the ``rows`` held-out rows

    Source: Guo et al. 2017, On Calibration of Modern Neural Networks (temperature scaling).
    """

    def surprise(logarithm: float) -> float:
        return loss(math.exp(logarithm)) + (logarithm / PRIOR) ** 2 / (2 * rows)

    ratio = (math.sqrt(5) - 1) / 2
    left, right = math.log(low), math.log(high)
    while right - left > 1e-4:
        inner, outer = right - ratio * (right - left), left + ratio * (right - left)
        if surprise(inner) < surprise(outer):
            right = outer
        else:
            left = inner
    return math.exp((left + right) / 2)


def unknown_label(label: object, labels: Sequence[str]) -> TunewrightError:
    """The error for a label that was not in the training rows."""
    return TunewrightError(f"label {label!r} is unknown to this task", nearest(str(label), labels))


def learned_labels(values: Iterable[str], given: Sequence[str]) -> tuple[str, ...]:
    """All labels in order: those given (every value must be one of them), or those found, sorted."""
    found = set(values)
    if given:
        for label in sorted(found - set(given)):
            raise unknown_label(label, given)
        return tuple(given)
    if len(found) < 2:
        raise TunewrightError(f"there is a single class: {', '.join(map(repr, found))}", "add rows of another class")
    return tuple(sorted(found))
