"""Paired tests and their intervals: against the reference library, published values and simulations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from tunewright.audit._paired import (
    about,
    holm,
    mcnemar,
    newcombe,
    rows_needed,
    rows_needed_by_error,
    swapped,
)

Counts = st.integers(0, 400)


@given(a=Counts, b=Counts)
def test_mcnemar_is_the_binomial_test_of_the_discordant_rows(a: int, b: int) -> None:
    expected = binomtest(a, a + b).pvalue if a + b else 1.0
    assert mcnemar(a, b) == pytest.approx(expected, rel=1e-9)
    assert mcnemar(a, b) == mcnemar(b, a)


def test_mcnemar_of_many_rows_neither_overflows_nor_vanishes() -> None:
    assert mcnemar(50_000, 50_500) == pytest.approx(binomtest(50_000, 100_500).pvalue, rel=1e-6)
    assert 0 <= mcnemar(10, 100_000) < 1e-300


@given(a=st.integers(0, 4), b=st.integers(0, 4), same=st.integers(0, 5))
def test_swapping_every_way_gives_the_exact_test_of_the_accuracy(a: int, b: int, same: int) -> None:
    """Swapping a discordant row turns its sign, so that the randomisation test of accuracy is McNemar's."""
    gain = np.array([-1] * a + [1] * b + [0] * same + [0])
    found = swapped(lambda swap: {"accuracy": float(np.where(swap, -gain, gain).mean())}, gain != 0, 0, 1000)
    assert found["accuracy"] == pytest.approx(mcnemar(a, b))


def test_drawn_swaps_come_near_all_swaps() -> None:
    gain = np.array([-1] * 9 + [1] * 20 + [0] * 50)
    found = swapped(lambda swap: {"accuracy": float(np.where(swap, -gain, gain).mean())}, gain != 0, 0, 1000)
    assert found["accuracy"] == pytest.approx(mcnemar(9, 20), abs=0.02)  # its standard error is 0.006


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        # Fagerland, Lydersen, Laake 2014, BMC Medical Research Methodology 14: the airway data of Bentur et al. 2009.
        ((1, 7, 1, 21), (-0.507, -0.026)),
    ],
)
def test_newcombe_gives_the_published_interval(table: tuple[int, ...], expected: tuple[float, float]) -> None:
    assert newcombe(*table) == pytest.approx(expected, abs=5e-4)


@given(st.tuples(*[st.integers(0, 60)] * 4).filter(any))
def test_newcombe_holds_the_estimate_and_mirrors(cells: tuple[int, int, int, int]) -> None:
    both, a, b, _ = cells
    n = sum(cells)
    low, high = newcombe(both, a, b, n)
    assert -1 - 1e-9 <= low <= (b - a) / n <= high <= 1 + 1e-9
    assert newcombe(both, b, a, n) == pytest.approx((-high, -low))


@pytest.mark.parametrize("n", [30, 200])
def test_newcombe_covers_as_promised(n: int) -> None:
    """2,000 draws: the standard error of the coverage is half a point."""
    shares = [0.7, 0.05, 0.12, 0.13]
    draws = np.random.default_rng(0).multinomial(n, shares, 2000)
    spans = [newcombe(both, a, b, n) for both, a, b, _ in draws.tolist()]
    assert 0.93 <= np.mean([low <= 0.07 <= high for low, high in spans]) <= 0.98


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_refuses_what_the_step_down_procedure_refuses(p: list[float]) -> None:
    """The procedure itself: p values from the least on, each against 5 % over those that are left, until one fails."""
    refused: set[int] = set()
    for rank, at in enumerate(sorted(range(len(p)), key=lambda at: p[at])):
        if p[at] * (len(p) - rank) > 0.05:
            break
        refused.add(at)
    assert {at for at, raised in enumerate(holm(p)) if raised <= 0.05} == refused


@pytest.mark.parametrize(("a", "b", "n"), [(10, 20, 300), (30, 50, 400), (5, 25, 200)])
def test_the_rows_needed_have_the_power_that_is_stated(a: int, b: int, n: int) -> None:
    """4,000 comparisons at that size: 80 % of them tell, less what the exact test is careful (its p is too high)."""
    rows = rows_needed(a, b, n)
    assert rows is not None
    draws = np.random.default_rng(0).multinomial(rows, [a / n, b / n, 1 - (a + b) / n], 4000)
    told = np.mean([mcnemar(one, other) < 0.05 for one, other, _ in draws.tolist()])
    assert 0.72 <= told <= 0.84


def test_rows_needed_by_the_error_is_the_usual_formula_of_a_paired_mean() -> None:
    """n = (1.96 + 0.84)² σ² / δ² with σ the spread of a row: Lachin 1981."""
    n, spread, value = 100, 2.0, 0.4
    expected = np.ceil((1.959964 + 0.841621) ** 2 * spread**2 / value**2)
    assert rows_needed_by_error(value, spread / np.sqrt(n), n) == expected


def test_without_a_difference_no_number_of_rows_shows_it() -> None:
    assert rows_needed(7, 7, 100) is None
    assert rows_needed_by_error(0.0, 0.1, 100) is None


def test_few_rows_need_enough_for_the_exact_test_at_all() -> None:
    assert rows_needed(0, 5, 5) == 6
    assert mcnemar(0, 5) > 0.05 > mcnemar(0, 6)


@given(st.integers(1, 10**7))
def test_a_rounded_count_is_near(count: int) -> None:
    assert about(count) == pytest.approx(count, rel=0.05)
    assert len(str(about(count)).rstrip("0")) <= 2
