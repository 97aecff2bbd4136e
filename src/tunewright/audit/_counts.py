"""Counts per class that several audits start from: rows of it, rows decided so, and both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._context import Context


@dataclass(frozen=True)
class Counts:
    """int64 (k,) each. true : rows of the class; said : rows decided so; hits : rows that are both."""

    true: NDArray[np.int64]
    said: NDArray[np.int64]
    hits: NDArray[np.int64]

    @property
    def precision(self) -> NDArray[np.float64]:
        """hits / said, NaN where nothing was decided so."""
        return _ratio(self.hits, self.said)

    @property
    def recall(self) -> NDArray[np.float64]:
        """hits / true, NaN where no row is of the class."""
        return _ratio(self.hits, self.true)

    @property
    def f1(self) -> NDArray[np.float64]:
        """2 · hits / (true + said), NaN where both are 0."""
        return _ratio(2 * self.hits, self.true + self.said)


def count(context: Context) -> Counts:
    """For one label per row, (n,) of positions, or any number of labels, (n, k) of 0 and 1."""
    decided, truth, k = context.decided, context.truth, len(context.kind.labels)
    if truth.ndim == 2:
        both = (decided > 0) & (truth > 0)
        return Counts(*(one.sum(0, dtype=np.int64) for one in (truth > 0, decided > 0, both)))
    right = truth[decided == truth]
    return Counts(*(np.bincount(one, minlength=k).astype(np.int64) for one in (truth, decided, right)))


def confusion(context: Context) -> NDArray[np.int64]:
    """int64 (k, k): row = truth, column = decided."""
    k = len(context.kind.labels)
    return np.bincount(context.truth * k + context.decided, minlength=k * k).reshape(k, k)


def _ratio(top: NDArray[np.int64], bottom: NDArray[np.int64]) -> NDArray[np.float64]:
    out = np.full(len(top), np.nan)
    np.divide(top, bottom, out=out, where=bottom > 0)
    return out
