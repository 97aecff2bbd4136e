"""Batches by cost: windows of like length together, so that little is computed on padding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def by_cost(cost: NDArray[np.int64], budget: int) -> Iterator[NDArray[np.int64]]:
    """Index arrays that cover all m windows, dearest first; a batch costs at most ``budget`` once padded.

    The dearest come first so that memory is at its highest at once. A window above the budget is a batch by itself.

    >>> [batch.tolist() for batch in by_cost(np.array([3, 9, 3, 4]), 9)]
    [[1], [3, 0], [2]]
    """
    order = np.argsort(-cost, kind="stable")
    start = 0
    while start < len(order):
        rows = max(1, budget // max(1, int(cost[order[start]])))
        yield order[start : start + rows]
        start += rows
