"""What pooled kinds share: windows gathered by cost, stable softmax and sigmoid, the best temperature, labels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special

from tunewright.core.errors import TunewrightError
from tunewright.core.types import Windows
from tunewright.kinds._pooled import (
    best_temperature,
    learned_labels,
    log_softmax,
    mean_of_windows,
    sigmoid,
    softmax,
    unknown_label,
)

LOGITS = hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.floats(-1e4, 1e4, width=32))


@given(LOGITS)
def test_softmax_is_what_scipy_says(logits: Any) -> None:
    proba = softmax(logits)
    assert proba.dtype == np.float64
    assert np.allclose(proba, special.softmax(logits.astype(np.float64), axis=-1), atol=1e-12)
    assert np.allclose(proba.sum(-1), 1)
    assert np.allclose(log_softmax(logits), special.log_softmax(logits.astype(np.float64), axis=-1), atol=1e-9)


@given(LOGITS)
def test_sigmoid_is_what_scipy_says(logits: Any) -> None:
    assert np.allclose(sigmoid(logits), special.expit(logits.astype(np.float64)), atol=1e-12)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.integers(1, 4), st.data())
def test_logits_of_a_row_are_the_mean_of_its_windows_by_cost(counts: list[int], size: int, data: st.DataObject) -> None:
    owner = np.repeat(np.arange(len(counts)), counts)
    cost = np.array(data.draw(st.lists(st.integers(1, 50), min_size=len(owner), max_size=len(owner))))
    pieces = data.draw(hnp.arrays(np.float32, (len(owner), size), elements=st.floats(-100, 100, width=32)))
    gathered = mean_of_windows(list(pieces), Windows(len(counts), owner, cost, {}), size)
    assert gathered.dtype == np.float32
    for row in range(len(counts)):
        mine = owner == row
        assert gathered[row] == pytest.approx(np.average(pieces[mine], axis=0, weights=cost[mine]), abs=1e-4)


def test_no_rows_give_no_logits() -> None:
    nothing = np.zeros(0, np.int64)
    assert mean_of_windows([], Windows(0, nothing, nothing, {}), 3).shape == (0, 3)


@pytest.mark.parametrize("best", [0.06, 0.5, 1.0, 3.7, 19.0])
def test_the_best_temperature_is_found(best: float) -> None:
    assert best_temperature(lambda t: (math.log(t) - math.log(best)) ** 2, 10**6) == pytest.approx(best, rel=1e-3)


@pytest.mark.parametrize("rows", [1, 4, 50])
def test_few_rows_move_the_temperature_little(rows: int) -> None:
    found = best_temperature(lambda t: (math.log(t) - math.log(0.1)) ** 2, rows)
    assert math.log(found) == pytest.approx(math.log(0.1) / (1 + 1 / (2 * rows * 0.5**2)), rel=1e-3)


@pytest.mark.parametrize(("sign", "end"), [(1, 0.05), (-1, 20.0)])
def test_the_best_temperature_stays_within_its_bounds(sign: int, end: float) -> None:
    assert best_temperature(lambda t: sign * t, 10**6) == pytest.approx(end, rel=1e-3)


def test_labels_are_found_or_given() -> None:
    assert learned_labels(["b", "a", "b"], ()) == ("a", "b")
    assert learned_labels(["b", "a"], ("b", "a", "c")) == ("b", "a", "c")
    with pytest.raises(TunewrightError, match="there is a single class: 'a'"):
        learned_labels(["a", "a"], ())
    with pytest.raises(TunewrightError, match=r"label 'lable' is unknown to this task → did you mean 'label'\?"):
        learned_labels(["lable", "label"], ("label", "other"))


def test_an_unknown_label_may_be_of_any_type() -> None:
    assert "label 3 is unknown" in unknown_label(3, ["a"]).problem
