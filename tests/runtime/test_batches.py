"""Batches by cost: every window once, no batch above its budget, memory at its highest first."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunewright.runtime.batches import by_cost


@given(st.lists(st.integers(0, 600), max_size=80), st.integers(1, 1500))
def test_every_window_is_in_one_batch_within_the_budget(costs: list[int], budget: int) -> None:
    cost = np.array(costs, np.int64)
    batches = list(by_cost(cost, budget))
    assert sorted(at for batch in batches for at in batch.tolist()) == list(range(len(costs)))
    for batch in batches:
        assert len(batch) > 0
        assert len(batch) == 1 or len(batch) * cost[batch].max() <= budget
    dearest = [cost[batch].max() for batch in batches]
    assert dearest == sorted(dearest, reverse=True)


@given(st.lists(st.integers(1, 600), min_size=1, max_size=80), st.integers(1, 1500))
def test_no_batch_could_take_the_first_window_of_the_next(costs: list[int], budget: int) -> None:
    cost = np.array(costs, np.int64)
    batches = list(by_cost(cost, budget))
    for batch, _ in pairwise(batches):
        assert (len(batch) + 1) * cost[batch].max() > budget


def test_windows_of_one_cost_stay_in_order() -> None:
    batches = by_cost(np.full(5, 4), 8)
    assert [batch.tolist() for batch in batches] == [[0, 1], [2, 3], [4]]
