"""Groups of rows: their names and sizes, rates of each label, and intervals for the largest difference between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._intervals import Interval
from tunewright.core.errors import MissingExtra
from tunewright.core.types import Array

MIN_ROWS = 30
"""Rows of a group below which it is too small to be judged."""
MIN_OF_LABEL = 10
"""Rows of a group with a label, and without it, below which the label's rates there say too little."""
MOST = 50
"""Groups of a column above which it is taken for something else, such as an id."""
CELLS = 20_000_000

DIFFERENCE = (
    "parametric bootstrap of all groups at once, with two right and two wrong rows added to each (Agresti & Coull "
    "1998, American Statistician 52): the difference moves by no more than the range of the groups' deviations"
)
ROWS_DRAWN = (
    "bootstrap over the rows of each group (Efron & Tibshirani 1993): the difference moves by no more than the range "
    "of the groups' deviations"
)


@dataclass(frozen=True)
class Grouped:
    """One column.

    names : of its m groups, sorted; at : int64 (n,), the position of each row's group among them, -1 = no value
    """

    column: str
    names: tuple[str, ...]
    at: NDArray[np.int64]

    @classmethod
    def of(cls, column: str, values: Sequence[Any]) -> Grouped:
        """From raw cells; an empty one belongs to no group.

        >>> Grouped.of("gender", ["f", None, "m", " f "]).at.tolist()
        [0, -1, 1, 0]
        """
        texts = ["" if value is None or value != value else str(value).strip() for value in values]
        names = tuple(sorted(set(texts) - {""}))
        position = {name: at for at, name in enumerate(names)} | {"": -1}
        return cls(column, names, np.array([position[text] for text in texts], np.int64))

    @property
    def known(self) -> NDArray[np.int64]:
        """The rows that have a group."""
        return np.flatnonzero(self.at >= 0)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """int64 (m,)"""
        return np.bincount(self.at[self.known], minlength=len(self.names)).astype(np.int64)


@dataclass(frozen=True)
class Rates:
    """Of each label in each group, (m, k): how many rows there are, and in how many of them something holds."""

    hits: NDArray[np.int64]
    rows: NDArray[np.int64]

    @property
    def values(self) -> NDArray[np.float64]:
        """NaN where there are no rows."""
        out = np.full(self.hits.shape, np.nan)
        np.divide(self.hits, self.rows, out=out, where=self.rows > 0)
        return out

    @property
    def differences(self) -> NDArray[np.float64]:
        """(k,): the largest difference between two groups."""
        return np.asarray(np.ptp(self.values, 0))

    def deviations(self, seed: int) -> NDArray[np.float64]:
        """(draws, k): the range, over the groups, of what chance adds to their rates."""
        draws = int(min(1000, max(100, CELLS // max(self.hits.size, 1))))
        share, rows = (self.hits + 2) / (self.rows + 4), np.maximum(self.rows, 1)
        drawn = np.random.default_rng(seed).binomial(rows, share, (draws, *share.shape))
        return np.asarray(np.ptp(drawn / rows - share, 1))


def around(value: float, deviations: Array, ceiling: float = 1.0) -> tuple[float, float, float]:
    """The 95 % interval of a largest difference, and what chance alone would make of none.

    deviations : (draws,), by how much it may lie off

    >>> around(0.5, np.full(100, 0.25))
    (0.25, 0.75, 0.25)
    """
    off = float(np.quantile(deviations, 0.95))
    return round(max(0.0, value - off), 12), min(ceiling, value + off), float(np.mean(deviations))


def too_small(grouped: Grouped) -> str:
    """The groups with too few rows, each with their number; empty where there are none."""
    sizes = zip(grouped.names, grouped.sizes.tolist(), strict=True)
    return ", ".join(f"{name} ({rows})" for name, rows in sizes if rows < MIN_ROWS)


def interval_of_gap(value: float, drawn: Array, values: Array, ceiling: float) -> tuple[Interval, float]:
    """Of values whose draws are (draws, m): the interval of their largest difference, and what is chance in it."""
    low, high, chance = around(value, np.ptp(drawn - values, 1), ceiling)
    return (low, high), chance


def by_group(measures: Mapping[str, Callable[[Array], Any]], groups: Array) -> dict[str, list[Any]]:
    """As fairlearn's frame gives it; see ``_fairlearn``.

    Raises
    ------
    MissingExtra
        It is not installed.
    """
    try:
        from tunewright.audit._fairlearn import framed  # takes longer to import than a small fit
    except ModuleNotFoundError as error:
        raise MissingExtra("the audit fairness", (error.name or "fairlearn").partition(".")[0], "audit") from error
    return framed(measures, groups)


def summed(coded: Array, rows: Array) -> Array:
    """int64 (k,): of some rows."""
    return np.asarray(coded[rows].sum(0, dtype=np.int64))


def flags(coded: Array, k: int) -> Array:
    """bool (n, k): which labels a row has."""
    return np.asarray(coded > 0 if coded.ndim == 2 else coded[:, None] == np.arange(k))
