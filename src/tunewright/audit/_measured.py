"""Every metric of a kind on decided rows, each with its 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._classwise import MOST_CELLS, SMOOTHED, STATISTICS, classwise, narrow
from tunewright.audit._intervals import BOOTSTRAP, SHARE, WILSON, bias_corrected, bootstrap, share, wilson
from tunewright.core.types import Array, Finding, Kind

SHARES = frozenset({"accuracy", "subset_accuracy", "exact_match"})
"""Metrics that are a share of rows, for which Wilson's interval holds."""

Known = tuple[float, float, str, str]
"""Low, high, the source of an interval that needs no draws of rows, and a remark on it."""


def measured(audit: str, kind: Kind, decided: Array, truth: Array, seed: int) -> list[Finding]:
    """All metrics of rows (n, ...), decided and true, in the coding of the kind."""
    judge, n = kind.metrics, len(truth)
    values = judge(decided, truth)
    drawn = bootstrap(lambda rows: judge(decided[rows], truth[rows]), n, seed, np.size(truth))
    right = _right(decided, truth) if kind.labels else None
    known = {
        name: (*share(right), SHARE, "") for name in SHARES if right is not None and _same(values, name, right.mean())
    }
    known |= _over_classes(values, kind, decided, truth, seed)
    alike = right is not None and bool(right.all())
    return [_finding(audit, name, value, drawn[name], n, alike, known.get(name)) for name, value in values.items()]


def names(kind: Kind) -> tuple[str, ...]:
    """All metric names of a kind, found by letting it judge two rows against themselves."""
    try:
        two = kind.decide(np.zeros((2, kind.size), np.float32))
        return tuple(kind.metrics(two, two))
    except (AttributeError, IndexError, TypeError, ValueError):  # a kind whose rows are not one vector each
        return tuple(kind.headline)


def _right(decided: Array, truth: Array) -> NDArray[np.bool_]:
    """bool (n,): whether a row is decided as it is true; a row may be an array of its own length."""
    if truth.dtype == object:
        return np.array([np.array_equal(one, other) for one, other in zip(decided, truth, strict=True)], bool)
    return np.asarray((decided == truth).reshape(len(truth), -1).all(1))


def _over_classes(values: Mapping[str, float], kind: Kind, decided: Array, truth: Array, seed: int) -> dict[str, Known]:
    """Intervals of means over classes, of one label per row."""
    k = len(kind.labels)
    if truth.ndim != 1 or truth.dtype.kind not in "iu" or not 1 < k * k <= MOST_CELLS or not len(truth):
        return {}
    table = np.bincount(truth * k + decided, minlength=k * k).reshape(k, k)
    own = {name: one for name, one in STATISTICS.items() if _same(values, name, one(table))}
    return {name: (*classwise(one, table, seed), SMOOTHED, narrow(table)) for name, one in own.items()}


def _same(values: Mapping[str, float], name: str, value: float) -> bool:
    """Whether a kind means by the name of a metric what is meant here."""
    return name in values and abs(values[name] - value) < 1e-9


def _finding(audit: str, name: str, value: float, drawn: Array, n: int, alike: bool, known: Known | None) -> Finding:
    """``alike``: no row is wrong, so there is nothing to draw and the bootstrap would give an interval of width 0."""
    if not math.isfinite(value):
        return Finding(audit, name, None, n=n, note="not defined on these rows")
    if known is not None:
        return Finding(audit, name, value, *known[:2], n, source=known[2], note=known[3])
    if name in SHARES or (alike and value in (0.0, 1.0)):
        return Finding(audit, name, value, *wilson(value * n, n), n, source=WILSON)
    low, high = bias_corrected(value, drawn)
    return Finding(audit, name, value, low, high, n, source=f"{BOOTSTRAP}; {len(drawn)} draws")
