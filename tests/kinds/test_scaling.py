"""Vector scaling: against a general minimiser, and only where it helps."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from tunewright.kinds._scaling import better_scaling, fit_scaling, row_loss
from tunewright.kinds.classify import Classify

K = 4
BIAS = np.array([1.5, 0.0, -1.0, 0.0])


def drawn(n: int, bias: NDArray[np.float64], seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits that lack a bias, and truths that follow it."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 2, (n, K))
    noise = draw.gumbel(size=(n, K))
    return logits, (logits + bias + noise).argmax(1)


@pytest.mark.parametrize("penalty", [0.1, 3.0])
def test_it_is_the_minimum_that_a_general_minimiser_finds(penalty: float) -> None:
    logits, truth = drawn(300, BIAS)

    def loss(at: NDArray[np.float64]) -> float:
        distance = ((at[:K] - 1) ** 2).sum() + (at[K:] ** 2).sum()
        return float(row_loss(logits * at[:K] + at[K:], truth).sum() + penalty / 2 * distance)

    wanted = minimize(loss, np.concatenate([np.ones(K), np.zeros(K)]), method="BFGS", options={"gtol": 1e-4}).x
    found = np.concatenate(fit_scaling(logits, truth, penalty))
    assert found == pytest.approx(wanted, abs=2e-3)


def test_a_bias_that_is_missing_is_found_and_lowers_the_loss_of_other_rows() -> None:
    kind = Classify(tuple("abcd")).calibrate(*drawn(1000, BIAS))
    assert np.array(kind.biases) - np.mean(kind.biases) == pytest.approx(BIAS - BIAS.mean(), abs=0.3)
    logits, truth = drawn(4000, BIAS, seed=1)
    before, after = (-np.log(one.proba(logits)[np.arange(4000), truth]).mean() for one in (kind.raw(), kind))
    assert after < before - 0.05
    assert (kind.decide(logits) == kind.proba(logits).argmax(1)).all()
    assert (kind.decide(logits) == truth).mean() > (kind.raw().decide(logits) == truth).mean()
    assert Classify.load(json.loads(json.dumps(kind.spec()))) == kind


def test_where_the_temperature_is_enough_nothing_is_added() -> None:
    kept = [Classify(tuple("abcd")).calibrate(*drawn(400, np.zeros(K), seed)).factors for seed in range(20)]
    assert sum(bool(one) for one in kept) <= 2


def test_few_rows_are_never_scaled() -> None:
    assert better_scaling(*drawn(199, 4 * BIAS)) is None
    assert better_scaling(*drawn(200, 4 * BIAS)) is not None
    many = np.random.default_rng(0).normal(size=(209, 21))
    assert better_scaling(many, (many + 4 * np.eye(21)[0]).argmax(1)) is None


def test_each_row_is_scaled_by_what_other_rows_gave() -> None:
    logits, truth = drawn(200, BIAS)
    found = better_scaling(logits, truth)
    assert found is not None
    _, apart = found
    changed = truth.copy()
    changed[7] = (truth[7] + 1) % K
    again = better_scaling(logits, changed)
    assert again is not None
    assert again[1][7].tolist() == apart[7].tolist()
    assert again[1].tolist() != apart.tolist()
