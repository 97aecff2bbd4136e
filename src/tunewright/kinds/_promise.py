"""Conformal prediction: sets of labels that hold the true one at a stated rate, from scores of held-out rows.

A row's score is 1 - the probability of its true label. A label stands in the set where its own 1 - p is no larger than
the score that all but the stated share of held-out rows stay under. Of all scores this one gives the smallest sets.

Source: Vovk et al. 2005, Algorithmic Learning in a Random World (split and class-conditional conformal prediction);
Sadinle et al. 2019, Least Ambiguous Set-Valued Classifiers with Bounded Error Levels, JASA 114.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array

MOST_ERROR = 0.5
KEPT = 200
"""Scores that are kept of each group of rows at the most."""


@dataclass(frozen=True)
class Scores:
    """The scores of ``rows`` held-out rows, some of them: the i-th is the ``ranks[i]``-th smallest of all.

    Where a score counts for a part of its row, the rank is ``rows`` less all that counts above it.
    """

    rows: int
    ranks: tuple[float, ...]
    values: tuple[float, ...]

    @classmethod
    def of(cls, scores: Array, errors: Sequence[float] = ()) -> Self:
        """Those that small error rates ask for lie densest; what ``errors`` ask for is kept in any case."""
        return cls.weighed(scores, np.ones(len(scores)), len(scores), errors)

    @classmethod
    def weighed(cls, scores: Array, weights: Array, rows: int, errors: Sequence[float] = ()) -> Self:
        """As ``of``, where what a row loses, 1 at the most, is the sum of the weights of its scores above the limit.

        scores, weights : (m,), of any number of scores a row

        Source: Angelopoulos et al. 2022, Conformal Risk Control; with one score a row of weight 1 this is ``of``.
        """
        order = np.argsort(scores, kind="stable")
        above = np.cumsum(np.asarray(weights, np.float64)[order][::-1])[::-1]
        ranks = np.round(rows - np.append(above[1:], 0.0)[: len(order)], 9)
        kept: Any = range(len(order))
        if len(order) > KEPT:
            asked = [*errors, *np.geomspace(0.002, MOST_ERROR, KEPT - 1 - len(errors)).tolist()]
            found = np.searchsorted(ranks, [needed(error, rows) for error in asked])
            kept = sorted({min(at, len(order) - 1) for at in found.tolist()} | {len(order) - 1})
        values = tuple(rounded_up(scores[order[at]]) for at in kept)
        return cls(rows, tuple(_whole(ranks[at]) for at in kept), values)

    @classmethod
    def load(cls, spec: Mapping[str, Any]) -> Self:
        """From what ``spec`` told."""
        return cls(spec["rows"], tuple(spec["ranks"]), tuple(spec["scores"]))

    def spec(self) -> dict[str, Any]:
        """JSON values."""
        return {"rows": self.rows, "ranks": list(self.ranks), "scores": list(self.values)}

    def limit(self, error: float) -> float:
        """The score up to which a label is in the set; of the kept ones the next larger, so that the promise holds.

        Infinite where there are fewer than 1 / error - 1 rows: then no label can be left out.
        """
        rank = needed(error, self.rows)
        return next((value for at, value in zip(self.ranks, self.values, strict=True) if at >= rank), math.inf)


def _whole(rank: float) -> float:
    """A whole number as an integer, so that it is written as one."""
    return int(rank) if float(rank).is_integer() else float(rank)


def rounded_up(score: float) -> float:
    """To six digits, so that equal fits keep equal numbers; upwards, so that the promise holds.

    >>> rounded_up(0.12345612)
    0.123457
    """
    return round(math.ceil(round(float(score) * 1e6, 3)) / 1e6, 6)


def rank_of(error: float, rows: int) -> int:
    """Which of the scores, from 1 on: ⌈(n + 1)(1 - error)⌉, larger than n where there are too few.

    >>> rank_of(0.05, 19), rank_of(0.05, 18)
    (19, 19)
    """
    return math.ceil(needed(error, rows))


def needed(error: float, rows: int) -> float:
    """The rank that a limit must have at least: (n + 1)(1 - error)."""
    return round((rows + 1) * (1 - error), 9)


def checked(error: float) -> float:
    """A rate of errors; an error where that is no rate that can be promised."""
    if not 0 <= error <= MOST_ERROR:
        raise TunewrightError(
            f"error = {error:g}: this is no rate from 0 to {MOST_ERROR:g}", "say for example 0.05; 0 answers all"
        )
    return float(error)


Made = TypeVar("Made")


def made(promise: Made | None) -> Made:
    """The promise of a kind; an error where none was made at fit."""
    if promise is None:
        remedy = "leave `error` out, or fit again: newer bundles keep them"
        raise TunewrightError("this bundle keeps no scores that a rate of errors rests on", remedy)
    return promise


def named(error: float) -> list[float]:
    """Rates of which the exact limit is kept."""
    return [one for one in (error, 0.1, 0.05, 0.01) if one]


@dataclass(frozen=True)
class Promise:
    """What the sets of a bundle rest on.

    error : rate at which a set may miss the true label; 0 = every row is answered, sure or not
    groups : scores of all rows, or one entry for each class (then the rate holds for each of them)
    """

    groups: tuple[Scores, ...]
    error: float = 0.0

    @classmethod
    def of(cls, proba: Array, truth: Array, error: float, *, per_class: bool) -> Self:
        """From held-out rows: proba (n, k), truth int64 (n,)."""
        scores = 1 - proba[np.arange(len(truth)), truth]
        parts = [scores[truth == at] for at in range(proba.shape[1])] if per_class else [scores]
        return cls(tuple(Scores.of(part, named(error)) for part in parts), error)

    @classmethod
    def load(cls, spec: Mapping[str, Any]) -> Self:
        """From what ``spec`` told."""
        return cls(tuple(Scores.load(one) for one in spec["groups"]), float(spec["error"]))

    def spec(self) -> dict[str, Any]:
        """JSON values."""
        return {"score": "lac", "error": self.error, "groups": [one.spec() for one in self.groups]}

    def at(self, error: float) -> Self:
        """The same at another rate; an error where that is no rate that can be promised."""
        return replace(self, error=checked(error))

    def sets(self, proba: Array) -> NDArray[np.bool_]:
        """bool (n, k): which labels are in the set of each row; it may be empty."""
        limits = np.array([one.limit(self.error) for one in self.groups])
        held: NDArray[np.bool_] = 1 - proba <= limits
        return held
