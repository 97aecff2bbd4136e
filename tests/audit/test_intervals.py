"""Intervals: against published and hand-computed values, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.audit._intervals import bias_corrected, bootstrap, draw_count, draws, reflected, wilson
from tunewright.kinds.classify import Classify


@pytest.mark.parametrize(
    ("hits", "n", "expected"),
    [
        # Newcombe 1998, Statistics in Medicine 17, table I, method 3.
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_wilson_gives_the_published_values(hits: int, n: int, expected: tuple[float, float]) -> None:
    assert wilson(hits, n) == pytest.approx(expected, abs=5e-5)


def test_wilson_of_no_rows_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@given(n=st.integers(1, 5000), share=st.floats(0, 1))
def test_wilson_holds_the_estimate_and_stays_between_0_and_1(n: int, share: float) -> None:
    hits = round(share * n)
    low, high = wilson(hits, n)
    assert 0 <= low <= hits / n <= high <= 1
    assert high > low


@pytest.mark.parametrize("n", [50, 300, 3000])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_wilson_covers_as_promised(n: int, share: float) -> None:
    """Exact coverage, summed over the binomial distribution."""
    covered = 0.0
    for hits in range(n + 1):
        low, high = wilson(hits, n)
        if low <= share <= high:
            log = math.lgamma(n + 1) - math.lgamma(hits + 1) - math.lgamma(n - hits + 1)
            covered += math.exp(log + hits * math.log(share) + (n - hits) * math.log(1 - share))
    # At n = 50 and 0.99 whole rows allow only 0.911 or 0.986: no interval that depends on the hits alone comes nearer.
    lowest = 0.91 if (n, share) == (50, 0.99) else 0.93
    assert lowest <= covered <= 0.975


def test_draws_repeat_with_the_seed_and_differ_without() -> None:
    first, second, other = (np.stack(list(draws(30, seed, 5))) for seed in (1, 1, 2))
    assert (first == second).all()
    assert (first != other).any()
    assert first.shape == (5, 30)
    assert first.min() >= 0
    assert first.max() < 30


def test_many_rows_get_fewer_draws() -> None:
    assert draw_count(3080) == 1000
    assert draw_count(40_000) == 1000
    assert draw_count(80_000) == 500
    assert draw_count(10**9) == 200


def test_the_bootstrap_of_a_mean_matches_the_normal_interval() -> None:
    values = np.random.default_rng(0).normal(10, 3, 400)
    drawn = bootstrap(lambda rows: {"mean": values[rows].mean()}, 400, seed=0)["mean"]
    low, high = bias_corrected(values.mean(), drawn)
    half = 1.96 * values.std(ddof=1) / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.05)


def test_draws_that_all_agree_give_an_interval_of_no_width() -> None:
    assert bias_corrected(0.5, np.full(100, 0.5)) == (0.5, 0.5)


def test_draws_without_a_value_are_left_out() -> None:
    assert bias_corrected(0.5, np.array([np.nan, 0.5, np.nan])) == (0.5, 0.5)
    assert bias_corrected(0.5, np.array([np.nan])) == (0.5, 0.5)


def test_a_reflected_interval_turns_the_draws_round_the_estimate() -> None:
    low, high = reflected(0.10, np.linspace(0.08, 0.18, 1001))
    assert (low, high) == pytest.approx((0.0225, 0.1175), abs=1e-3)
    assert reflected(0.01, np.linspace(0.0, 0.18, 11))[0] == 0.0


@pytest.mark.parametrize(("k", "n", "share"), [(2, 50, 0.9), (5, 300, 0.9), (20, 1000, 0.9)])
def test_the_interval_of_macro_f1_covers_the_true_value(k: int, n: int, share: float) -> None:
    """250 test parts drawn anew, classes 1 : 2 : … : k, wrong answers spread evenly."""
    generator, kind = np.random.default_rng(3), Classify(tuple(map(str, range(k))))
    prior = np.arange(1, k + 1) / np.arange(1, k + 1).sum()
    said = prior * share + (1 - prior) * (1 - share) / (k - 1)
    true_value = (2 * prior * share / (prior + said)).mean()
    covered = 0
    for seed in range(250):
        truth = generator.choice(k, n, p=prior)
        wrong = (truth + generator.integers(1, k, n)) % k
        decided = np.where(generator.random(n) < share, truth, wrong)
        value = kind.metrics(decided, truth)["macro_f1"]
        drawn = np.array([kind.metrics(decided[rows], truth[rows])["macro_f1"] for rows in draws(n, seed, 200)])
        low, high = bias_corrected(value, drawn)
        covered += low <= true_value <= high
    assert 0.91 <= covered / 250 <= 0.985
