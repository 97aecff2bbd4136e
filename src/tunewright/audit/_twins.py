"""Rows that nearly repeat another: MinHash finds who may be alike, the Jaccard index of both says how much.

Source: Broder 1997, On the resemblance and containment of documents; Leskovec, Rajaraman and Ullman, Mining of Massive
Datasets, chapter 3 (bands).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunewright.modalities._ngrams import Cuts, hashes

GRAMS = Cuts(words=(), characters=(5,), inside=False)
"""What texts have in common is counted in: 5 characters in a row, in small letters, one space between words."""
ALIKE = 0.8
BANDS, EACH = 20, 5
"""100 smallest hashes in 20 bands of 5: a pair of index 0.8 shares a band with 99.96 %, one of 0.5 with 47 %."""
CHUNK = 2_000
MOST = 32
"""Rows that share bands with a row and are looked at, those with most bands first."""

Grams = list[NDArray[np.uint64]]
"""The hashes of each text's n-grams, rising, each once."""


@dataclass(frozen=True)
class Twins:
    """The most alike row of the others, for each of n rows.

    nearest : int64 (n,), its index; -1 where none was found
    index : float64 (n,), the Jaccard index of both; 0 where none was found
    """

    nearest: NDArray[np.int64]
    index: NDArray[np.float64]

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows that have a twin."""
        return np.flatnonzero(self.index >= ALIKE)


def twins(others: Sequence[str], texts: Sequence[str]) -> Twins:
    """For each text the most alike of the others; pairs well below ``ALIKE`` may be missed.

    >>> twins(["where is my card now?", "top up failed"], ["Where is  my card now??", "hello"]).nearest.tolist()
    [0, -1]
    """
    left, right = grams(others), grams(texts)
    nearest, index = np.full(len(texts), -1, np.int64), np.zeros(len(texts))
    for row, candidates in _candidates(_bands(signatures(left)), _bands(signatures(right))):
        for other in candidates:
            value = jaccard(left[other], right[row])
            if value > index[row]:
                nearest[row], index[row] = other, value
    return Twins(nearest, index)


def grams(texts: Sequence[str]) -> Grams:
    """Each text as a set; one of fewer than 3 characters has none."""
    out: Grams = []
    for start in range(0, len(texts), CHUNK):
        some = list(texts[start : start + CHUNK])
        found, of = hashes(some, GRAMS)
        order = np.lexsort((found, of))
        found, of = found[order], of[order]
        new = np.ones(len(found), bool)
        new[1:] = (found[1:] != found[:-1]) | (of[1:] != of[:-1])
        out += np.split(found[new], np.searchsorted(of[new], np.arange(1, len(some))))
    return out


def jaccard(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> float:
    """Size of what both have, by that of what either has; 0 where both are empty."""
    both = len(np.intersect1d(one, other, assume_unique=True))
    either = len(one) + len(other) - both
    return both / either if either else 0.0


def signatures(sets: Grams, count: int = BANDS * EACH) -> NDArray[np.uint64]:
    """uint64 (n, count): the smallest hash of each set under as many orders; of an empty set the largest number."""
    draws = np.random.default_rng(0)  # which orders is nothing that a task has to choose
    odd = draws.integers(0, 2**63, count, np.uint64) * np.uint64(2) + np.uint64(1)
    out = np.full((len(sets), count), np.uint64(2**64 - 1))
    filled = np.flatnonzero([len(one) > 0 for one in sets])
    for start in range(0, len(filled), CHUNK):
        rows = filled[start : start + CHUNK]
        every = np.concatenate([sets[row] for row in rows])
        begins = np.concatenate([[0], np.cumsum([len(sets[row]) for row in rows])[:-1]])
        for at, factor in enumerate(odd):
            mixed = every * factor
            mixed ^= mixed >> np.uint64(32)
            out[rows, at] = np.minimum.reduceat(mixed * factor, begins)
    return out


def _bands(signature: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """uint64 (n, BANDS): one number for each band."""
    out = np.zeros((len(signature), BANDS), np.uint64)
    for at in range(EACH):
        out = (out ^ signature[:, at::EACH][:, :BANDS]) * np.uint64(0x9E3779B97F4A7C15)
        out ^= out >> np.uint64(29)
    return out


def _candidates(others: NDArray[np.uint64], bands: NDArray[np.uint64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Each row with the others that share a band with it, most bands first."""
    order = np.argsort(others, axis=0, kind="stable")
    ranked = np.take_along_axis(others, order, 0)
    low = np.stack([np.searchsorted(ranked[:, at], bands[:, at], "left") for at in range(BANDS)], 1)
    high = np.stack([np.searchsorted(ranked[:, at], bands[:, at], "right") for at in range(BANDS)], 1)
    for row in np.flatnonzero((high > low).any(1)).tolist():
        spans = zip(low[row].tolist(), high[row].tolist(), strict=True)
        shared = np.concatenate(
            [order[start : min(end, start + 8 * MOST), at] for at, (start, end) in enumerate(spans)]
        )
        found, times = np.unique(shared, return_counts=True)
        yield row, found[np.argsort(-times, kind="stable")[:MOST]]
