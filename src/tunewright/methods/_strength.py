"""The strength of a linear model by cross-validation, and the answers that rows got from folds without them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold, StratifiedKFold

from tunewright.core.types import Array, Kind
from tunewright.methods._side_by_side import SideBySide
from tunewright.train.fitted import Crossed

STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Inverse regularisation C, weakest model first; embeddings have length 1, so useful values lie well above 1."""
FOLDS = 3
SEARCH_ROWS = 4_000
"""Rows that the strength is chosen on at the most; the fit itself takes all."""

Weights = tuple[NDArray[np.float64], NDArray[np.float64]]
"""weight (k, d), bias (k,)"""
Solver = Callable[..., Weights]
"""(embeddings (n, d), which may be sparse, truth, k, strength) → weights of all k logits; behind these, where rows do
not count alike, how much each does (n,)"""


class Chosen(NamedTuple):
    """The strength, the mean row score of each that was tried, and the rows' answers by the one chosen.

    Of several targets the first two are told by target, and there are no answers.
    """

    strength: Any
    scores: dict[str, Any]
    crossed: Crossed | None


def choose_strength(
    embeddings: Any,
    truth: Array,
    kind: Kind,
    solver: Solver | SideBySide,
    seed: int,
    stopping: Callable[[], bool] = lambda: False,
    strengths: Sequence[float] = STRENGTHS,
    weights: Array | None = None,
) -> Chosen:
    """The strength with the best cross-validated row score, climbing from the middle while time allows.

    Of strengths that score alike the stronger regularisation wins. Several targets have a strength each.

    weights : (n,), how much each row counts; None = all alike
    """
    if isinstance(solver, SideBySide):
        told = solver.strengths(
            embeddings,
            truth,
            lambda rows, own, of, by: choose_strength(rows, own, of, by, seed, stopping, strengths)[:2],
        )
        return Chosen(*told, None)
    rows = np.random.default_rng(seed).permutation(len(truth))[:SEARCH_ROWS]
    embeddings, truth, weights = embeddings[rows], truth[rows], None if weights is None else weights[rows]
    folds = list(_folds(truth, seed))
    scores: dict[float, float] = {}

    def answered(at: int) -> Array:
        logits = np.empty((len(rows), kind.size), np.float32)
        for learn, judge in folds:
            found = solver(embeddings[learn], truth[learn], kind.size, strengths[at], *given(weights, learn))
            logits[judge] = linear(embeddings[judge], found)
        scores[strengths[at]] = round(float(np.average(kind.row_score(logits, truth), weights=weights)), 6)
        return logits

    best = len(strengths) // 2
    if not folds:
        return Chosen(strengths[best], {}, None)
    middle, kept = best, answered(best)
    for step in (1, -1):
        at = middle + step
        while 0 <= at < len(strengths) and not stopping():
            logits = answered(at)
            found, top = scores[strengths[at]], scores[strengths[best]]
            if found < top or (step > 0 and found == top):
                break
            best, kept, at = at, logits, at + step
        if best != middle:
            break
    named = {f"{strength:g}": scores[strength] for strength in sorted(scores)}
    informed = _informed(truth, folds)
    return Chosen(strengths[best], named, Crossed(rows[informed], kept[informed]))


def given(weights: Array | None, rows: Any = slice(None)) -> tuple[Array, ...]:
    """What follows the other arguments of a solver: the weights of some rows, or nothing."""
    return () if weights is None else (weights[rows],)


def _informed(truth: Array, folds: Sequence[tuple[Array, Array]]) -> NDArray[np.bool_]:
    """bool (n,): rows whose answer tells of the method; of a class that its fold did not learn it tells nothing."""
    informed = np.ones(len(truth), bool)
    if truth.ndim == 1 and truth.dtype.kind == "i":
        for learn, judge in folds:
            informed[judge] = np.isin(truth[judge], truth[learn])
    return informed


def _folds(truth: Array, seed: int) -> Iterator[tuple[Array, Array]]:
    labels = truth.ndim == 1 and truth.dtype.kind == "i"
    if len(truth) < 2 * FOLDS or (labels and np.bincount(truth).max() < FOLDS):
        return iter(())
    splitter = (StratifiedKFold if labels else KFold)(FOLDS, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        return iter(list(splitter.split(np.zeros(len(truth)), truth if labels else None)))


def linear(embeddings: Any, weights: Weights) -> Array:
    """float32 (n, k): the logits of a linear model."""
    return np.asarray(embeddings @ weights[0].T + weights[1], np.float32)
