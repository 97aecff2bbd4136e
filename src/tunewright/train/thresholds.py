"""Thresholds of labels at which groups differ least on held-out rows; who is served is asked for no group."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunewright.core.types import Array, Kind
from tunewright.kinds.classify import Classify
from tunewright.train.context import Context

FEWEST = 5
"""HeldOut of a label that every group must have for the label to count."""
LOSS = 0.01
"""Of the accuracy, and of its mean over labels, that may be given away on the held-out rows."""
LARGEST = 3.0
"""Of an offset, in natural logarithms of a probability: a factor of 20."""
TRIED = 41
"""Offsets of one label that are tried, where its decisions change."""
PASSES = 2
LEAST = 1e-9


class Measured(NamedTuple):
    """Groups whose labels are mixed otherwise are compared label by label, so that the mix itself is no gap.

    gap, worst : between groups, and of the worst one: of the mean, over the labels that count, of the share found
    mean : the same of all labels and groups together; accuracy : the share of right rows
    """

    gap: float
    worst: float
    mean: float
    accuracy: float


@dataclass(frozen=True)
class HeldOut:
    """Rows of the validation part.

    scores : (n, k), log-probabilities; truth, groups : int64 (n,); labels : those that count
    """

    scores: Array
    truth: NDArray[np.int64]
    groups: NDArray[np.int64]
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, scores: Array, truth: Array, groups: Array) -> HeldOut:
        table = np.zeros((int(groups.max()) + 1, scores.shape[1]), np.int64)
        np.add.at(table, (groups, truth), 1)
        return cls(scores, truth, groups, np.flatnonzero(table.min(0) >= FEWEST))

    def measured(self, right: Array) -> Measured:
        """What groups and rows come to.

        right : bool (n,)
        """
        m, k = int(self.groups.max()) + 1, self.scores.shape[1]
        flat = self.groups * k + self.truth
        hits, rows = (np.bincount(flat, weights, m * k).reshape(m, k) for weights in (right, None))
        of_groups = (hits[:, self.labels] / rows[:, self.labels]).mean(1)
        there = rows.sum(0) > 0
        mean = float((hits.sum(0)[there] / rows.sum(0)[there]).mean())
        return Measured(float(np.ptp(of_groups)), float(of_groups.min()), mean, float(hits.sum() / rows.sum()))


def even(context: Context, kind: Kind, logits: Array, truth: Array) -> Kind:
    """The kind with offsets, where the task asks for them and the held-out rows give any; it tells of them.

    logits : (n, k) of the validation part
    """
    if not context.task.fairness.thresholds or not isinstance(kind, Classify):
        return kind
    names, groups = np.unique(np.asarray(context.parts["validation"].groups, object), return_inverse=True)
    rows = HeldOut.of(np.log(np.maximum(kind.proba(logits), 1e-300)), truth, groups) if len(names) > 1 else None
    if rows is None or len(rows.labels) < 2:
        few = f"fewer than two labels have {FEWEST} validation rows in each of several groups"
        said = f"fairness.thresholds: {few}, so nothing is moved; set split.validation higher"
        context.run.log("thresholds", say=said)
        return kind
    found = offsets(rows)
    before, after = (rows.measured((rows.scores + one).argmax(1) == truth) for one in (0.0, found))
    told = ", ".join(
        f"{name} {old:.3f} → {new:.3f}"
        for name, old, new in zip(("gap", "worst group", "all groups", "accuracy"), before, after, strict=True)
    )
    context.run.log("thresholds", say=f"fairness.thresholds, mean over labels on validation rows: {told}")
    return replace(kind, offsets=tuple(found.round(6).tolist())) if found.any() else kind


def offsets(rows: HeldOut) -> NDArray[np.float64]:
    """(k,): what is added to the log-probability of each label before the largest decides; zeros where nothing helps.

    Label by label the offset with the smallest gap is taken, of those that leave the worst group no worse and cost at
    most ``LOSS``; of equal ones the smallest. For two labels this is a threshold on the probability.

    Source: in the manner of Hardt, Price and Srebro 2016, but with one threshold for all groups, as Lipton et al. 2018
    (Does mitigating ML's impact disparity require treatment disparity?) ask for.
    """
    found = np.zeros(rows.scores.shape[1])
    start = rows.measured(rows.scores.argmax(1) == rows.truth)
    for _ in range(PASSES):
        for label in rows.labels.tolist():
            found[label] = _best(rows, found, label, start)
    return found


def _best(rows: HeldOut, found: NDArray[np.float64], label: int, start: Measured) -> float:
    shifted = rows.scores + found
    own = rows.scores[:, label]
    shifted[:, label] = -np.inf
    other = shifted.argmax(1)
    needed = shifted.max(1) - own  # the label is decided where its offset is larger
    best, least = float(found[label]), (np.inf, np.inf)
    for offset in _tried(needed, best):
        right = np.where(offset > needed, rows.truth == label, rows.truth == other)
        now = rows.measured(right)
        cheap = now.mean >= start.mean - LOSS and now.accuracy >= start.accuracy - LOSS
        allowed = cheap and now.worst >= start.worst - LEAST
        rank = round(now.gap, 9), abs(offset)
        if allowed and rank < least:
            best, least = offset, rank
    return best


def _tried(needed: Array, now: float) -> list[float]:
    """Offsets between those at which a decision changes, at most ``TRIED`` of them, with that of now and none."""
    inside = np.unique(needed[np.abs(needed) < LARGEST])
    between = (inside[1:] + inside[:-1]) / 2
    picked = (
        between[np.unique(np.linspace(0, len(between) - 1, TRIED).round().astype(int))] if len(between) else between
    )
    return [0.0, now, *picked.tolist()]
