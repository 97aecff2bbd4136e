"""Which parts of the rows are answered worse than the rest: looked for in one half of the rows, confirmed in the other.

Whoever looks at hundreds of parts finds some that are bad by chance. So the parts are picked on one half of the rows,
and only the few that were picked are tested on the other, with p values raised for their number. A false alarm in any
of them is then no more likely than ``LEVEL``, however many were looked at. Fewer rows than ``HALVED`` are not
halved: all parts are tested on all rows, with p values raised for all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._context import Context
from tunewright.audit._measured import measured
from tunewright.audit._paired import holm
from tunewright.audit._parts import Parts
from tunewright.core.types import Exhibit, Finding, Kind

LEVEL = 0.01
"""Chance of a false alarm among all parts of an audit."""
HALVED = 400
"""Rows from which they are halved."""
PICKED = 10
PICKED_AT = 0.1
SHOWN = 15
POOR = 0.2
"""Of numbers: the share of rows, those with the largest errors, that count as answered wrongly."""
TEST = (
    "exact one-sided test of Fisher 1935, The Design of Experiments; Holm 1979, Scandinavian Journal of Statistics 6; "
    "picked on one half of the rows, tested on the other (Cox 1975, Biometrika 62)"
)
COLUMNS = ("slice", "rows", "wrong", "share wrong", "share wrong in the rest", "p", "weak")

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Weak:
    """A part that was tested.

    rows : bool (n,), those of its rows that it was tested on; rest : the others that it was tested against
    p : raised for the number of parts that were tested
    """

    name: str
    rows: Mask
    rest: Mask
    p: float

    @property
    def found(self) -> bool:
        return self.p <= LEVEL


def metric_of(kind: Kind) -> str:
    """The name of a weak part's finding: that of the headline metric, of a slice."""
    return f"slice.{kind.headline[0]}"


def wrong_of(context: Context) -> Mask:
    """bool (n,): rows that are not answered right in full; of numbers, the fifth with the largest errors."""
    decided, truth = context.decided, context.truth
    if context.kind.labels:
        return np.asarray((decided != truth).reshape(len(truth), -1).any(1))
    error = np.abs(decided - truth).reshape(len(truth), -1).max(1)
    return np.asarray(error > np.quantile(error, 1 - POOR))


def weak_parts(parts: Parts, wrong: Mask, seed: int) -> list[Weak]:
    """The parts that were tested, the surest first."""
    n = len(wrong)
    picking = tested = np.ones(n, bool)
    if n >= HALVED:
        picking = np.isin(np.arange(n), np.random.default_rng(seed).permutation(n)[: n // 2])
        tested = ~picking
        first = {name: excess(mask & picking, ~mask & picking, wrong) for name, mask in parts.items()}
        best = sorted((name for name in first if first[name] <= PICKED_AT), key=lambda name: first[name])
        parts = {name: parts[name] for name in _different(best, parts)[:PICKED]}
    p = holm([excess(mask & tested, ~mask & tested, wrong) for mask in parts.values()])
    found = [Weak(name, mask & tested, ~mask & tested, one) for (name, mask), one in zip(parts.items(), p, strict=True)]
    return sorted(found, key=lambda one: one.p)


def _different(names: list[str], parts: Parts) -> list[str]:
    """Without those of which four fifths of all rows are those of one that stands before it."""
    kept: list[str] = []
    for name in names:
        mask = parts[name]
        if all((mask & parts[one]).sum() < 0.8 * (mask | parts[one]).sum() for one in kept):
            kept.append(name)
    return kept


def excess(rows: Mask, rest: Mask, wrong: Mask) -> float:
    """One-sided p value: are rows of a part wrong more often than the rest?

    The chance of so many wrong ones or more among its rows, if as many of all rows as are wrong were drawn anew
    (hypergeometric distribution: Fisher's exact test).

    >>> round(excess(np.arange(10) < 5, np.arange(10) >= 5, np.arange(10) < 4), 4)
    0.0238
    """
    m, n = int(rows.sum()), int((rows | rest).sum())
    hits, total = int((wrong & rows).sum()), int((wrong & (rows | rest)).sum())
    base = _log_choose(n, total)
    logs = [_log_choose(m, x) + _log_choose(n - m, total - x) - base for x in range(hits, min(m, total) + 1)]
    return min(1.0, math.fsum(math.exp(one) for one in logs))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) if 0 <= k <= n else -math.inf


def findings(audit: str, count: str, context: Context, parts: Parts) -> list[Finding]:
    """How many parts are weak, with a table of those that were tested, and the headline metric of each weak one.

    count : name of the first metric
    """
    wrong = wrong_of(context)
    tested = weak_parts(parts, wrong, context.seed)
    weak = [one for one in tested if one.found]
    note = f"{len(parts)} slices looked at, {len(tested)} tested; chance of a false alarm at most {LEVEL:.0%}"
    table = Exhibit(
        "Slices that are answered worst", "table", COLUMNS, tuple(_row(one, wrong) for one in tested[:SHOWN])
    )
    first = Finding(audit, count, float(len(weak)), n=context.rows, source=TEST, note=note, exhibits=(table,))
    return [first, *(_finding(audit, context, one) for one in weak)]


def _row(one: Weak, wrong: Mask) -> tuple[str | int | float, ...]:
    shares = float(wrong[one.rows].mean()), float(wrong[one.rest].mean())
    return one.name, int(one.rows.sum()), int(wrong[one.rows].sum()), *shares, one.p, "yes" if one.found else "no"


def _finding(audit: str, context: Context, one: Weak) -> Finding:
    """The headline metric of a weak part, on the rows that it was tested on."""
    kind, name = context.kind, context.kind.headline[0]
    inside, outside = (
        next(f for f in measured(audit, kind, context.decided[at], context.truth[at], context.seed) if f.metric == name)
        for at in (np.flatnonzero(one.rows), np.flatnonzero(one.rest))
    )
    rest = "not defined" if outside.value is None else f"{outside.value:.3f}"
    note = f"{rest} in the rest; p = {one.p:.2g}"
    return replace(inside, metric=metric_of(kind), slice=one.name, note=note)


SPOKEN = {
    "slice.accuracy": "数据片的准确率",
    "slice.micro_f1": "数据片的微平均 F1",
    "slice.mae": "数据片的平均绝对误差",
    "slice.r2": "数据片的决定系数 R²",
    "{} slices looked at, {} tested; chance of a false alarm at most {}": "考察 {} 片，检验 {} 片；误报概率不超过 {}",
    "{} in the rest; p = {}": "其余为 {}；p = {}",
    "Slices that are answered worst": "答得最差的数据片",
    "slice": "数据片",
    "wrong": "答错",
    "share wrong": "答错比例",
    "share wrong in the rest": "其余的答错比例",
    "p": "p 值",
    "weak": "薄弱",
    "not defined on these rows": "在这些行上无定义",
}
