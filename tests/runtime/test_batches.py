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


@given(st.lists(st.integers(1, 600), min_size=1, max_size=80), st.integers(1, 1500), st.integers(0, 100))
def test_padding_has_a_limit_of_its_own(costs: list[int], budget: int, padding: int) -> None:
    cost = np.array(costs, np.int64)
    batches = [cost[batch] for batch in by_cost(cost, budget, padding)]
    assert sorted(one for batch in batches for one in batch.tolist()) == sorted(costs)
    for batch, following in pairwise(batches):
        longer = np.append(batch, following[0])
        assert len(longer) * longer[0] > budget or len(longer) * longer[0] - longer.sum() > padding
    assert all(len(batch) * batch[0] - batch.sum() <= padding for batch in batches)


def test_windows_of_one_cost_stay_in_order() -> None:
    batches = by_cost(np.full(5, 4), 8)
    assert [batch.tolist() for batch in batches] == [[0, 1], [2, 3], [4]]
