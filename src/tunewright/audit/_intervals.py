"""95 % intervals: Wilson's for shares of rows, the bias-corrected bootstrap over rows for most else.

Rows are drawn from all rows alike, not within classes. In simulations of macro F1 (2 to 77 classes, 50 to 3,080 rows,
150 to 500 runs each) intervals from draws within classes held the true value in 84 to 97 %, since they leave out that
another test part would have another mix of classes; draws from all rows with bias correction held it in 92 to 96 %,
whether the mix was fixed or not. Means over classes that have few rows or few mistakes need more: ``_classwise``.
``benchmarks/intervals.py`` simulates them all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tunewright.core.types import Array

WILSON = "Wilson interval: E. B. Wilson 1927, JASA 22"
SHARE = f"{WILSON}, at the count moved by under half a row: Thulin 2014, arXiv 1402.6536"
BOOTSTRAP = "bias-corrected bootstrap over rows: Efron & Tibshirani 1993, An Introduction to the Bootstrap, ch. 14"
MIRRORED = "bootstrap over rows, mirrored at the estimate: Davison & Hinkley 1997, section 5.2"

Interval = tuple[float, float]


def wilson(hits: float, n: float, level: float = 0.95) -> Interval:
    """Interval for a share of n rows; it keeps its promise at small n and near 0 and 1, where the bootstrap cannot.

    Source: E. B. Wilson 1927, Probable inference, the law of succession, and statistical inference, JASA 22.

    >>> [round(bound, 4) for bound in wilson(95, 100)]
    [0.8882, 0.9785]
    """
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (0.0 if hits == 0 else max(0.0, centre - half)), (1.0 if hits == n else min(1.0, centre + half))


def share(right: Array, level: float = 0.95) -> Interval:
    """Interval for the share of rows that are right, bool (n,), which keeps its promise where whole rows cannot.

    Near 1, one wrong row more or less is a large step: of 50 rows with a true share of 0.99, an interval that goes by
    the count alone holds it in 91.1 % (up to one wrong row) or in 98.6 % (up to two), and nowhere between. So Wilson's
    interval is taken at the count moved by up to half a row either way; which rows are right decides by how much, so
    the same rows give the same interval. It holds 0.99 in 94.0 %. The estimate lies inside; if all rows are right, or
    none, the count is not moved.

    Source: E. L. Korn 1987, Data-randomized confidence intervals for discrete distributions, Communications in
    Statistics – Theory and Methods 16; M. Thulin 2014, On split sample and randomized confidence intervals for
    binomial proportions, arXiv 1402.6536.

    >>> [round(bound, 3) for bound in share(np.arange(100) >= 5)]
    [0.886, 0.977]
    """
    right = np.asarray(right, bool)
    n, hits = len(right), int(right.sum())
    if hits in (0, n):
        return wilson(hits, n, level)
    move = float(np.random.default_rng(np.packbits(right)).random()) - 0.5
    low, high = wilson(hits + move, n, level)
    return min(low, hits / n), max(high, hits / n)


def draw_count(cells: int) -> int:
    """How many draws: 1,000, and fewer beyond 40,000 cells, so that 200,000 rows take seconds; 200 at least."""
    return int(min(1000, max(200, 40_000_000 // max(cells, 1))))


def draws(n: int, seed: int, count: int = 1000) -> Iterator[NDArray[np.int64]]:
    """Row numbers drawn with replacement, ``count`` times n of them."""
    generator = np.random.default_rng(seed)
    for _ in range(count):
        yield generator.integers(0, n, n)


def bootstrap(
    statistic: Callable[[Array], Mapping[str, float]], n: int, seed: int, cells: int = 0
) -> dict[str, NDArray[np.float64]]:
    """The statistics of every draw, by name.

    statistic : drawn row numbers → values by name
    cells : size of what one draw computes on, if that is more than n
    """
    drawn = [statistic(index) for index in draws(n, seed, draw_count(max(n, cells)))]
    return {name: np.array([one[name] for one in drawn], np.float64) for name in drawn[0]}


def bias_corrected(value: float, drawn: Array, level: float = 0.95) -> Interval:
    """The middle ``level`` of the draws, moved by how far their median lies off the estimate.

    Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, section 14.3 (BCa without acceleration).
    """
    kept = drawn[np.isfinite(drawn)]
    if not len(kept):
        return value, value
    normal, near = NormalDist(), 1e-12 * max(1.0, abs(value))
    below = (np.mean(kept < value - near) + np.mean(kept <= value + near)) / 2
    shift = normal.inv_cdf(float(np.clip(below, 0.5 / len(kept), 1 - 0.5 / len(kept))))
    z = normal.inv_cdf(0.5 + level / 2)
    low, high = np.quantile(kept, [normal.cdf(2 * shift - z), normal.cdf(2 * shift + z)])
    return float(low), float(high)


def reflected(value: float, drawn: Array, floor: float = 0.0, ceiling: float = 1.0) -> Interval:
    """The draws mirrored at the estimate (the "basic" bootstrap), within the bounds of what is estimated.

    For statistics that rise when rows are drawn anew, such as a calibration error: the draws lie too high by what the
    estimate itself lies too high, and mirroring takes that off instead of adding it.

    Source: Davison & Hinkley 1997, Bootstrap Methods and their Application, section 5.2.
    """
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    bounds = np.clip([2 * value - high, 2 * value - low], floor, ceiling)
    return float(bounds[0]), float(bounds[1])
