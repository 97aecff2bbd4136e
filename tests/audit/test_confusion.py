"""Confusions, largest first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tunewright.audit import Context
from tunewright.audit import confusion as audit
from tunewright.audit._intervals import wilson

Make = Callable[..., Context]


def test_pairs_come_largest_first_with_their_share_and_the_other_way(decided: Make) -> None:
    truth = np.array([0] * 10 + [1] * 10 + [2] * 10)
    said = truth.copy()
    said[:4], said[10:12], said[20:21] = 1, 0, 1
    largest, half = audit.run(decided(truth, said))
    table = next(one for one in largest.exhibits if one.form == "table")
    assert table.rows == (("c0", "c1", 4, 0.4, 2), ("c1", "c0", 2, 0.2, 4), ("c2", "c1", 1, 0.1, 0))
    assert (largest.value, largest.n) == (0.4, 10)
    assert (largest.low, largest.high) == wilson(4, 10)
    assert largest.note == "c0 → c1: 4 rows"
    assert half.value == 1


@pytest.mark.parametrize(("sizes", "expected"), [((2, 2, 2, 2), 2), ((3, 1, 1, 1), 1), ((1, 1, 1), 2), ((5,), 1)])
def test_half_of_the_errors_are_counted_in_whole_pairs(decided: Make, sizes: tuple[int, ...], expected: int) -> None:
    truth = np.repeat(np.arange(len(sizes)), sizes)
    half = audit.run(decided(truth, np.full(len(truth), len(sizes))))[1]
    assert half.value == expected


def test_without_a_mistake_nothing_is_confused(decided: Make) -> None:
    for finding in audit.run(decided([0, 1, 1], [0, 1, 1])):
        assert finding.value == 0
        assert finding.note == "no row is wrong"
        assert not finding.exhibits


def test_the_table_says_that_it_is_cut(decided: Make) -> None:
    truth, said = (grid.ravel() for grid in np.mgrid[0:9, 0:9])
    table = audit.run(decided(truth, said))[0].exhibits[1]
    assert len(table.rows) == 50
    assert table.note == "the 50 largest of 72 pairs"
