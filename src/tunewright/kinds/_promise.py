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
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array

MOST_ERROR = 0.5
KEPT = 200
"""Scores that are kept of each group of rows at the most."""


@dataclass(frozen=True)
class Scores:
    """The scores of ``rows`` held-out rows, some of them: the i-th is the ``ranks[i]``-th smallest of all."""

    rows: int
    ranks: tuple[int, ...]
    values: tuple[float, ...]

    @classmethod
    def of(cls, scores: Array, errors: Sequence[float] = ()) -> Self:
        """Those that small error rates ask for lie densest; what ``errors`` ask for is kept in any case."""
        n = len(scores)
        ranks = set(range(1, n + 1))
        if n > KEPT:
            asked = [*errors, *np.geomspace(0.002, MOST_ERROR, KEPT - 1 - len(errors)).tolist()]
            ranks = {min(rank_of(error, n), n) for error in asked} | {n}
        kept, ordered = sorted(ranks), np.sort(scores)
        return cls(n, tuple(kept), tuple(rounded_up(ordered[rank - 1]) for rank in kept))

    def limit(self, error: float) -> float:
        """The score up to which a label is in the set; of the kept ones the next larger, so that the promise holds.

        Infinite where there are fewer than 1 / error - 1 rows: then no label can be left out.
        """
        rank = rank_of(error, self.rows)
        return next((value for at, value in zip(self.ranks, self.values, strict=True) if at >= rank), math.inf)


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
    return math.ceil(round((rows + 1) * (1 - error), 9))


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
        named = [one for one in (error, 0.1, 0.05, 0.01) if one]
        return cls(tuple(Scores.of(part, named) for part in parts), error)

    @classmethod
    def load(cls, spec: Mapping[str, Any]) -> Self:
        """From what ``spec`` told."""
        groups = [Scores(one["rows"], tuple(one["ranks"]), tuple(one["scores"])) for one in spec["groups"]]
        return cls(tuple(groups), float(spec["error"]))

    def spec(self) -> dict[str, Any]:
        """JSON values."""
        told = [{"rows": one.rows, "ranks": list(one.ranks), "scores": list(one.values)} for one in self.groups]
        return {"score": "lac", "error": self.error, "groups": told}

    def at(self, error: float) -> Self:
        """The same at another rate; an error where that is no rate that can be promised."""
        if not 0 <= error <= MOST_ERROR:
            raise TunewrightError(
                f"error = {error:g}: this is no rate from 0 to {MOST_ERROR:g}", "say for example 0.05; 0 answers all"
            )
        return replace(self, error=float(error))

    def sets(self, proba: Array) -> NDArray[np.bool_]:
        """bool (n, k): which labels are in the set of each row; it may be empty."""
        limits = np.array([one.limit(self.error) for one in self.groups])
        held: NDArray[np.bool_] = 1 - proba <= limits
        return held
