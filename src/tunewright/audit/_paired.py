"""Two models on the same rows: p values, the interval of a difference, and how many rows would tell them apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._intervals import Interval, wilson

MCNEMAR = "exact test of McNemar 1947, Psychometrika 12: binomial on the rows that only one of both answers right"
SWAPPED = "randomisation test: answers of both swapped row by row (Noreen 1989; Yeh 2000, COLING)"
NEWCOMBE = "paired interval of Newcombe 1998, Statistics in Medicine 17, method 10; p: exact McNemar, by Holm 1979"
CONNOR = "rows for 80 % power of a paired test at 5 %: Connor 1987, Biometrics 43"
NORMAL = "rows for 80 % power of a paired test at 5 %, normal approximation: Lachin 1981, Controlled Clinical Trials 2"

LEVEL, POWER = 0.05, 0.8
FEWEST = 6
"""Discordant rows with which the exact test can come under 5 % at all: 2 · 0.5⁶ = 0.031."""
NEAR = 1e-12


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided exact p value: are rows that only A answers right as frequent as those that only B does?

    Source: Q. McNemar 1947, Psychometrika 12, with the binomial distribution in place of chi squared.

    >>> round(mcnemar(2, 10), 4), mcnemar(0, 0)
    (0.0386, 1.0)
    """
    n = only_a + only_b
    logs = [math.lgamma(n + 1) - math.lgamma(at + 1) - math.lgamma(n - at + 1) for at in range(min(only_a, only_b) + 1)]
    return min(1.0, 2 * math.fsum(math.exp(one - n * math.log(2)) for one in logs))


def swapped(
    differences: Callable[[NDArray[np.bool_]], Mapping[str, float]], differs: NDArray[np.bool_], seed: int, count: int
) -> dict[str, float]:
    """Two-sided p values by name: how often swapping both models' answers gives a difference as large as the real one.

    All swaps are made where they are no more than ``count``; otherwise ``count`` of them are drawn.

    differences : bool (n,), the rows whose answers are swapped → differences by name
    differs : bool (n,), the rows that both answer otherwise: swapping another changes nothing

    Source: E. W. Noreen 1989, Computer-Intensive Methods for Testing Hypotheses; A. Yeh 2000 (COLING).
    """
    at, whole = np.flatnonzero(differs), 2.0 ** min(int(differs.sum()), 1000) <= count
    real = differences(np.zeros(len(differs), bool))
    hits = dict.fromkeys(real, 0)
    generator = np.random.default_rng(seed)
    ways: Sequence[Sequence[bool]] | None = list(product((False, True), repeat=len(at))) if whole else None
    for step in range(len(ways) if ways is not None else count):
        swap = np.zeros(len(differs), bool)
        swap[at] = ways[step] if ways is not None else generator.random(len(at)) < 0.5
        for name, value in differences(swap).items():
            hits[name] += abs(value) >= abs(real[name]) - NEAR
    if ways is not None:
        return {name: hit / len(ways) for name, hit in hits.items()}
    return {name: (hit + 1) / (count + 1) for name, hit in hits.items()}


def newcombe(both: int, only_a: int, only_b: int, n: int) -> Interval:
    """95 % interval of the share that B answers right minus that of A, on the same n rows.

    Source: R. G. Newcombe 1998, Improved confidence intervals for the difference between binomial proportions based on
    paired data, Statistics in Medicine 17, method 10: Wilson's intervals put together by how both go with each other.

    >>> [round(bound, 3) for bound in newcombe(60, 10, 25, 100)]
    [0.034, 0.261]
    """
    a, b = both + only_a, both + only_b
    share_a, share_b = a / n, b / n
    (low_a, high_a), (low_b, high_b) = wilson(a, n), wilson(b, n)
    product_of_margins = a * b * (n - a) * (n - b)
    excess: float = both * (n - both - only_a - only_b) - only_a * only_b
    excess = excess if excess < 0 else max(excess - n / 2, 0.0)
    phi = excess / math.sqrt(product_of_margins) if product_of_margins else 0.0
    down, up = _joined(share_b - low_b, high_a - share_a, phi), _joined(high_b - share_b, share_a - low_a, phi)
    return share_b - share_a - down, share_b - share_a + up


def _joined(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(0.0, one * one - 2 * phi * one * other + other * other))


def holm(p: Sequence[float]) -> list[float]:
    """P values raised for having looked at all of them; the chance of one false alarm among them stays as stated.

    Source: S. Holm 1979, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6.

    >>> [round(one, 3) for one in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    raised, most = [0.0] * len(p), 0.0
    for rank, at in enumerate(sorted(range(len(p)), key=lambda at: p[at])):
        most = max(most, min(1.0, (len(p) - rank) * p[at]))
        raised[at] = most
    return raised


def rows_needed(only_a: int, only_b: int, n: int) -> int | None:
    """How many rows in all show the difference seen on these n in four of five cases; None where none was seen.

    With ψ the share of rows that only one of both answers right, and δ the difference of both shares, it is
    (1.96 √ψ + 0.84 √(ψ - δ²))² / δ², and at least what holds ``FEWEST`` such rows.

    Source: R. J. Connor 1987, Sample size for testing differences in proportions for the paired-sample design,
    Biometrics 43.

    >>> rows_needed(10, 20, 300)
    705
    """
    psi, delta = (only_a + only_b) / n, abs(only_a - only_b) / n
    if not delta:
        return None
    alpha, beta = NormalDist().inv_cdf(1 - LEVEL / 2), NormalDist().inv_cdf(POWER)
    total = (alpha * math.sqrt(psi) + beta * math.sqrt(max(0.0, psi - delta * delta))) ** 2 / delta**2
    return math.ceil(max(total, FEWEST / psi) - NEAR)


def rows_needed_by_error(value: float, error: float, n: int) -> int | None:
    """As ``rows_needed``, for any difference with its standard error on n rows: n ((1.96 + 0.84) error / value)²."""
    if abs(value) <= NEAR:
        return None
    z = NormalDist().inv_cdf(1 - LEVEL / 2) + NormalDist().inv_cdf(POWER)
    return max(FEWEST, math.ceil(n * (z * error / value) ** 2))


def about(count: int) -> int:
    """A count to two digits.

    >>> about(237), about(8), about(1234)
    (240, 8, 1200)
    """
    return int(round(count, 2 - len(str(count)))) if count > 99 else count
