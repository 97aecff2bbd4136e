"""Two models' answers to the same rows, in one coding: A the one before, B the one that is judged."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._context import Context
from tunewright.core.types import Array, Kind

LOWER = frozenset({"mae", "rmse", "hamming_loss"})
"""Metrics of which less is better."""


def judged_by(kind: Kind | type[Kind]) -> tuple[str, ...]:
    """The metrics that two models are compared by; for numbers the mean absolute error stands first."""
    return tuple(sorted(kind.headline, key=lambda name: name != "mae"))


@dataclass(frozen=True)
class Pair:
    """The answers of A and B to n rows; labels are in the order of B's.

    a, b : each in the coding of its own kind
    """

    a: Context
    b: Context

    @property
    def truth(self) -> Array:
        return np.asarray(self.b.truth)

    @cached_property
    def of_a(self) -> Array:
        """What A decided, in the coding of B's kind."""
        decided, own, other = self.a.decided, self.a.kind.labels, self.b.kind.labels
        if own == other:
            return decided
        order = np.array([other.index(label) for label in own])
        if decided.ndim == 1:
            return np.asarray(order[decided])
        out = np.zeros_like(decided)
        out[:, order] = decided
        return out

    @property
    def of_b(self) -> Array:
        return self.b.decided

    @cached_property
    def right(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """bool (n,) of A and of B: the row is answered right; of several labels, all of them."""
        hits = (one == self.truth for one in (self.of_a, self.of_b))
        a, b = (one.all(1) if one.ndim == 2 else one for one in hits)
        return a, b

    @cached_property
    def differs(self) -> NDArray[np.bool_]:
        """bool (n,): A and B answer the row otherwise."""
        other = self.of_a != self.of_b
        return np.asarray(other.any(1) if other.ndim == 2 else other)

    def metrics(self, decided: Array, index: Array | None = None) -> dict[str, float]:
        """Those that both are compared by, of all rows or of those at ``index``."""
        rows = slice(None) if index is None else index
        found = self.b.kind.metrics(decided[rows], self.truth[rows])
        return {name: found[name] for name in judged_by(self.b.kind)}

    def differences(self, index: Array | None = None) -> dict[str, float]:
        """Metrics of B minus those of A."""
        a, b = self.metrics(self.of_a, index), self.metrics(self.of_b, index)
        return {name: b[name] - a[name] for name in b}

    def swapped(self, swap: NDArray[np.bool_]) -> dict[str, float]:
        """The differences, had each given the other's answer where ``swap`` is set."""
        where = swap[:, None] if self.truth.ndim == 2 else swap
        a, b = np.where(where, self.of_b, self.of_a), np.where(where, self.of_a, self.of_b)
        of_a, of_b = self.metrics(a), self.metrics(b)
        return {name: of_b[name] - of_a[name] for name in of_b}
