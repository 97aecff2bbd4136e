"""What answers cost, and how well a threshold on that tells rows that were learnt from: for attacks on membership."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.core.types import Array, Kind


def attack(inside: Array, outside: Array) -> tuple[float, float]:
    """AUC and advantage from losses of rows that were learnt from (n,) and others (m,).

    The advantage is that at the mean loss of the rows that were learnt from.

    >>> attack(np.array([0.0, 0.1]), np.array([1.0, 2.0]))[0]
    1.0
    """
    return area(inside, outside), advantage(inside, outside, float(np.mean(inside)))


def area(inside: Array, outside: Array) -> float:
    """P(inside < outside), ties count half."""
    ranked = np.sort(outside)
    after = len(ranked) - np.searchsorted(ranked, inside, "right")
    ties = np.searchsorted(ranked, inside, "right") - np.searchsorted(ranked, inside, "left")
    return float((after + ties / 2).mean() / len(ranked))


def advantage(inside: Array, outside: Array, limit: float) -> float:
    """Share of ``inside`` up to the limit, less that of ``outside``."""
    return float((inside <= limit).mean() - (outside <= limit).mean())


def losses(kind: Kind, logits: Array, truth: Array) -> NDArray[np.float64]:
    """(n,): what the answers cost, the surer they are wrong the more."""
    if not kind.labels:
        off = np.asarray(kind.decide(logits), np.float64) - np.asarray(truth, np.float64)
        return np.asarray((off**2).reshape(len(off), -1).sum(1), np.float64)
    proba = np.clip(np.asarray(kind.proba(logits), np.float64), 1e-12, 1 - 1e-12)
    if truth.ndim == 1:
        return np.asarray(-np.log(proba[np.arange(len(truth)), truth]))
    return np.asarray(-np.where(truth > 0, np.log(proba), np.log1p(-proba)).sum(1))


def keys(inputs: Any) -> list[tuple[str, ...]]:
    """The inputs of each row, such that equal ones are found."""
    return [tuple(" ".join(str(one).split()) for one in row) for row in zip(*inputs.values(), strict=True)]


def not_learnt(context: Any) -> NDArray[np.int64]:
    """The judged rows whose input does not occur in training."""
    known = set(keys(context.train.inputs)) if context.train.inputs else set()
    return np.array([row for row, key in enumerate(keys(context.inputs)) if key not in known], np.int64)
