"""Oversampling: how often a row comes in one epoch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunewright.core.types import Array


def repeats(truth: Array, size: int, power: float, seed: int) -> NDArray[np.int64]:
    """int64 (n,): rows of class c come (largest / n_c)^power times on average; with 1 all classes are equally large.

    What is over after whole times goes to rows drawn from the seed. A row with several labels comes as often as its
    rarest label asks.

    truth : classify int64 (n,) or multilabel (n, k); power : 0 to 1, 0 = every row once
    Source: Gupta et al. 2019, repeat factor sampling (there with the power 1/2).

    >>> repeats(np.array([0, 0, 0, 0, 1]), 2, 1.0, seed=0).tolist()
    [1, 1, 1, 1, 4]
    """
    if not power:
        return np.ones(len(truth), np.int64)
    counts = np.bincount(truth, minlength=size) if truth.ndim == 1 else truth.sum(0, dtype=np.int64)
    factors: NDArray[np.float64] = (counts.max(initial=1) / np.maximum(counts, 1)) ** power
    wanted = factors[truth] if truth.ndim == 1 else np.where(truth > 0, factors, 1.0).max(1, initial=1.0)
    order = np.random.default_rng(seed).permutation(len(truth))
    if truth.ndim == 1:
        order = order[np.argsort(truth[order], kind="stable")]  # class by class, so that each has its whole number
    out: NDArray[np.int64] = np.floor(wanted).astype(np.int64)
    over = np.floor(np.cumsum(wanted[order] - out[order]) + 0.5).astype(np.int64)
    out[order] += np.diff(over, prepend=0)
    return out
