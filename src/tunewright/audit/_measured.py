"""Every metric of a kind on decided rows, each with its 95 % interval."""

from __future__ import annotations

import math

import numpy as np

from tunewright.audit._intervals import BOOTSTRAP, WILSON, bias_corrected, bootstrap, wilson
from tunewright.core.types import Array, Finding, Kind

SHARES = frozenset({"accuracy", "subset_accuracy", "exact_match"})
"""Metrics that are a share of rows, for which Wilson's interval holds."""


def measured(audit: str, kind: Kind, decided: Array, truth: Array, seed: int) -> list[Finding]:
    """All metrics of rows (n, ...), decided and true, in the coding of the kind."""
    judge, n = kind.metrics, len(truth)
    values = judge(decided, truth)
    drawn = bootstrap(lambda rows: judge(decided[rows], truth[rows]), n, seed, np.size(truth))
    alike = bool(kind.labels) and _alike(decided, truth)
    return [_finding(audit, name, value, drawn[name], n, alike) for name, value in values.items()]


def names(kind: Kind) -> tuple[str, ...]:
    """All metric names of a kind, found by letting it judge two rows against themselves."""
    try:
        two = kind.decide(np.zeros((2, kind.size), np.float32))
        return tuple(kind.metrics(two, two))
    except (AttributeError, IndexError, TypeError, ValueError):  # a kind whose rows are not one vector each
        return tuple(kind.headline)


def _alike(decided: Array, truth: Array) -> bool:
    """Whether every row is decided as it is true; a row may be an array of its own length."""
    if truth.dtype == object:
        return all(np.array_equal(one, other) for one, other in zip(decided, truth, strict=True))
    return bool(np.all(decided == truth))


def _finding(audit: str, name: str, value: float, drawn: Array, n: int, alike: bool) -> Finding:
    """``alike``: no row is wrong, so there is nothing to draw and the bootstrap would give an interval of width 0."""
    if not math.isfinite(value):
        return Finding(audit, name, None, n=n, note="not defined on these rows")
    if name in SHARES or (alike and value in (0.0, 1.0)):
        low, high = wilson(value * n, n)
        return Finding(audit, name, value, low, high, n, source=WILSON)
    low, high = bias_corrected(value, drawn)
    return Finding(audit, name, value, low, high, n, source=f"{BOOTSTRAP}; {len(drawn)} draws")
