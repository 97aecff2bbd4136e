"""Positions of 64-bit hashes in a sorted vocabulary, by numpy alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SPREAD = 4
"""Buckets for each key, about: with more of them fewer keys share one, but the table leaves the processor's cache."""


class Lookup:
    """A bucket for each value of the highest bits says where its keys begin; hashes are spread evenly over them.

    keys : uint64 (v,), rising, each once; neither they nor what is asked for may be 2**64 - 1
    """

    def __init__(self, keys: NDArray[np.uint64]) -> None:
        bits = max(1, (SPREAD * len(keys)).bit_length())
        self._shift = np.uint64(64 - bits)
        bounds = np.arange(2**bits, dtype=np.uint64) << self._shift
        self._first = np.searchsorted(keys, bounds).astype(np.int32)
        self._keys = np.append(keys, np.uint64(2**64 - 1))  # no search goes beyond it

    def __call__(self, hashes: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Which of the hashes are keys (f,), and their positions among the keys (f,)."""
        at = self._first[hashes >> self._shift]
        found = self._keys[at]
        late = np.flatnonzero(found < hashes)
        while len(late):
            at[late] += 1
            found[late] = self._keys[at[late]]
            late = late[found[late] < hashes[late]]
        known = np.flatnonzero(found == hashes)
        return known, at[known]
