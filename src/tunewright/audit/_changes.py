"""What changed between two models: rows that flipped, scores, and the recall of each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._context import Context
from tunewright.audit._intervals import (
    BOOTSTRAP,
    MIRRORED,
    WILSON,
    bias_corrected,
    draw_count,
    draws,
    reflected,
    wilson,
)
from tunewright.audit._pair import Pair
from tunewright.audit._paired import NEWCOMBE, holm, mcnemar, newcombe
from tunewright.audit.calibration import BINS, bin_table, ece, scores_of
from tunewright.core.types import Array, Exhibit, Finding

FLIPS = {"right_to_wrong": "right → wrong", "wrong_to_right": "wrong → right", "other_changes": "wrong → wrong"}
MOVES = {"farther_off": "farther off", "nearer": "nearer"}
SHOWN = 100
"""Rows of numbers that are shown: those whose error changed most."""


def masks(pair: Pair) -> dict[str, NDArray[np.bool_]]:
    """Name of a change → bool (n,), the rows that it happened to."""
    if pair.b.kind.labels:
        a, b = pair.right
        return {"right_to_wrong": a & ~b, "wrong_to_right": ~a & b, "other_changes": ~a & ~b & pair.differs}
    moved = _moved(pair)
    return {"farther_off": moved > 0, "nearer": moved < 0}


def flips(pair: Pair) -> list[Finding]:
    """The share of rows of each change; the rows themselves in a private exhibit of the first."""
    n = pair.b.rows
    found: list[Finding] = []
    for name, mask in masks(pair).items():
        count = int(mask.sum())
        low, high = wilson(count, n)
        exhibits = () if found or pair.b.inputs is None else (_rows(pair),)
        note = f"{count} of {n} rows"
        found.append(Finding("compare", name, count / n, low, high, n, source=WILSON, note=note, exhibits=exhibits))
    return found


def _moved(pair: Pair) -> Array:
    """(n,): by how much B is farther off than A."""
    return np.asarray(np.abs(pair.of_b - pair.truth) - np.abs(pair.of_a - pair.truth))


def _rows(pair: Pair) -> Exhibit:
    """Every flipped row; of numbers, those whose error changed most."""
    told = FLIPS if pair.b.kind.labels else MOVES
    at = {name: np.flatnonzero(mask).tolist() for name, mask in masks(pair).items()}
    changed = [(told[name], row) for name, rows in at.items() for row in rows]
    if not pair.b.kind.labels:
        moved = np.abs(_moved(pair))
        changed = sorted(changed, key=lambda one: -float(moved[one[1]]))[:SHOWN]
    inputs = pair.b.inputs or {}
    scores = [_scores(one) for one in (pair.a, pair.b)] if pair.b.kind.labels else []
    rows = tuple(
        (
            change,
            pair.b.place(row),
            *(str(column[row]) for column in inputs.values()),
            *(_named(pair, coded[row]) for coded in (pair.truth, pair.of_a, pair.of_b)),
            *(float(one[row]) for one in scores),
        )
        for change, row in changed
    )
    named = ("score of A", "score of B") if scores else ()
    columns = ("change", "place", *inputs, "truth", "answer of A", "answer of B", *named)
    return Exhibit("Rows that changed", "table", columns, rows, private=True)


def _scores(context: Context) -> Array:
    """(n,): the score of each answer; of several labels, of the least sure yes or no."""
    proba, decided = context.proba, context.decided
    if decided.ndim == 2:
        return np.asarray(np.where(decided > 0, proba, 1 - proba).min(1))
    return np.asarray(proba[np.arange(len(decided)), decided])


def _named(pair: Pair, coded: Any) -> str | float:
    labels = pair.b.kind.labels
    if not labels:
        return float(coded)
    if np.ndim(coded):
        return ", ".join(labels[at] for at in np.flatnonzero(coded)) or "–"
    return labels[int(coded)]


def scores(pair: Pair) -> list[Finding]:
    """By how much B is surer than A on the whole, and by how much more its scores are off (ECE)."""
    both = scores_of(pair.a), scores_of(pair.b)
    n, size = pair.b.rows, both[0].confidence.size
    tables = [bin_table(one).reshape(n, -1) for one in both]
    sure = [one.confidence.reshape(n, -1).sum(1) / size for one in both]
    wide = np.concatenate([*tables, (sure[1] - sure[0])[:, None]], 1)
    drawn = np.stack([np.bincount(at, minlength=n) @ wide for at in draws(n, pair.b.seed, draw_count(n * BINS))])
    split = [drawn[:, : 2 * BINS], drawn[:, 2 * BINS : -1]]
    of_a, of_b = (np.abs(one.reshape(-1, BINS, 2) @ np.array([1, -1])).sum(1) for one in split)
    errors = [ece(one.sum(0).reshape(BINS, 2)) for one in tables]
    means = [float(one.sum()) for one in sure]
    score, error = means[1] - means[0], errors[1] - errors[0]
    surer = (score, *bias_corrected(score, drawn[:, -1]), n)
    off = (error, *reflected(error, of_b - of_a, floor=-1.0), n)
    alone = {
        ("A", "mean_score"): means[0],
        ("B", "mean_score"): means[1],
        ("A", "ece"): errors[0],
        ("B", "ece"): errors[1],
    }
    return [
        Finding("compare", "difference.mean_score", *surer, source=BOOTSTRAP, note=beside(*means)),
        Finding("compare", "difference.ece", *off, source=MIRRORED, note=beside(*errors)),
        *(Finding("compare", name, value, n=n, slice=side) for (side, name), value in alone.items()),
    ]


def beside(a: float, b: float) -> str:
    """Both values, as a remark.

    >>> beside(0.85, 0.9)
    '0.850 in A, 0.900 in B'
    """
    return f"{a:.3f} in A, {b:.3f} in B"


def classes(pair: Pair) -> list[Finding]:
    """The change of recall of every class in which a row flipped, the surest change first; all classes beside it."""
    truth, of_a, of_b = (_flags(one, len(pair.b.kind.labels)) for one in (pair.truth, pair.of_a, pair.of_b))
    a, b = truth & of_a, truth & of_b
    tables = np.stack([(a & b).sum(0), (a & ~b).sum(0), (b & ~a).sum(0), truth.sum(0)], 1).tolist()
    counts = {at: table for at, table in enumerate(tables) if table[-1]}
    raised = dict(zip(counts, holm([mcnemar(a, b) for _, a, b, _ in counts.values()]), strict=True))
    order = sorted(counts, key=lambda at: (raised[at], -abs(counts[at][2] - counts[at][1]) / counts[at][3]))
    rows = {at: _class(pair.b.kind.labels[at], counts[at], raised[at]) for at in order}
    columns = ("class", "rows", "recall of A", "recall of B", "difference", "low", "high", "p")
    exhibits = (Exhibit("Recall of each class", "table", columns, tuple(rows.values())),)
    flipped = [row for at, row in rows.items() if counts[at][1] or counts[at][2]]
    return [_gain(row, len(counts), () if place else exhibits) for place, row in enumerate(flipped)]


def _class(label: str, counts: Sequence[int], p: float) -> tuple[Any, ...]:
    """counts : rows of the class that both, only A and only B find, and all of them."""
    both, only_a, only_b, n = counts
    interval = newcombe(both, only_a, only_b, n)
    return label, n, (both + only_a) / n, (both + only_b) / n, (only_b - only_a) / n, *interval, p


def _gain(row: tuple[Any, ...], looks: int, exhibits: tuple[Exhibit, ...]) -> Finding:
    label, n, a, b, value, low, high, p = row
    note = f"{beside(a, b)}; p = {p:.2g} for {looks} classes"
    measured = Finding("compare", "difference.recall", value, low, high, n, exhibits=exhibits)
    return replace(measured, slice=label, source=NEWCOMBE, note=note)


def _flags(coded: Array, k: int) -> NDArray[np.bool_]:
    """bool (n, k): which labels a row has."""
    return np.asarray(coded > 0 if coded.ndim == 2 else coded[:, None] == np.arange(k))
