"""What two methods are compared by: the bound of a paired gain, the likelihood, and which of both decides."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from tunewright.train.evidence import Z80, Evidence, Gain, compared
from tunewright.train.fitted import Crossed, Fitted

Make = Callable[..., Any]


def test_the_gain_is_the_mean_of_pairs_and_its_bound_is_one_sided() -> None:
    draws = np.random.default_rng(0)
    before, after = draws.random(50), draws.random(50) + 0.1
    gain = Gain.of(after, before)
    differences = after - before
    assert gain.mean == pytest.approx(differences.mean())
    error = differences.std(ddof=1) / np.sqrt(50)
    assert gain.low == pytest.approx(norm.ppf(0.2, differences.mean(), error), rel=1e-3)
    assert gain.high == pytest.approx(norm.ppf(0.8, differences.mean(), error), rel=1e-3)
    assert pytest.approx(NormalDist().inv_cdf(0.8), abs=1e-4) == Z80


def test_pairs_that_agree_leave_no_doubt_and_one_pair_leaves_all() -> None:
    assert Gain.of(np.ones(9), np.ones(9)) == Gain(0.0, 0.0)
    assert Gain.of(np.ones(9), np.zeros(9)) == Gain(1.0, 1.0)
    assert Gain.of([1.0], [0.0]) == Gain(1.0, -np.inf)


@pytest.mark.parametrize(
    ("score", "likelihood", "seen", "sure"),
    [
        (Gain(0.01, 0.002), None, True, True),
        (Gain(0.01, -0.002), None, True, False),
        (Gain(0.0, 0.0), None, False, False),
        (Gain(0.0, -0.01), Gain(0.03, 0.01), True, True),
        (Gain(0.01, 0.005), Gain(-0.01, -0.02), False, False),
        (Gain(0.01, 0.005), Gain(0.01, -0.01), True, False),
        (Gain(-0.01, -0.02), Gain(0.03, 0.01), True, True),  # its upper bound is 0: not surely worse
        (Gain(-0.03, -0.04), Gain(0.03, 0.01), False, False),
    ],
)
def test_the_likelihood_decides_unless_the_score_is_surely_lower(
    score: Gain, likelihood: Gain | None, seen: bool, sure: bool
) -> None:
    evidence = Evidence(score, likelihood)
    assert (evidence.any, evidence.sure) == (seen, sure)


def told(context: Any, logits: Any, **more: Any) -> Fitted:
    return Fitted("full", context.backbone.encoder, context.new_head(), np.asarray(logits, np.float32), **more)


def two(context: Any, certain: float) -> tuple[Fitted, Fitted]:
    """Both right on the same nine tenths of the rows; the first gives the true label of the others the second place."""
    truth = context.validation.truth
    wrong = np.arange(len(truth)) % 10 == 9
    other, third = (truth + 1) % 4, (truth + 2) % 4
    said = np.eye(4)[np.where(wrong, other, truth)]
    near = said + 0.5 * np.eye(4)[np.where(wrong, truth, third)]
    far = said + 0.5 * np.eye(4)[third]
    return told(context, certain * near), told(context, far)


@pytest.mark.parametrize("certain", [0.1, 0.5, 3.0, 20.0])
def test_how_sure_a_method_is_of_itself_does_not_count(certain: float, make_context: Make) -> None:
    context = make_context("classify")
    one, other = two(context, certain)
    found, back = compared(context, one, other), compared(context, other, one)
    assert found.likelihood is not None
    assert back.likelihood is not None
    assert found.score == Gain(0.0, 0.0), "by the score alone nothing can be told"
    assert found.likelihood.mean == pytest.approx(compared(context, *two(context, 1.0)).likelihood.mean, abs=1e-3)  # type: ignore[union-attr]
    assert found.any
    assert not back.any
    assert back.likelihood.mean == pytest.approx(-found.likelihood.mean)
    assert compared(context, one, other, by_score=True).likelihood is None


def test_rows_that_both_have_cross_validated_count_too(make_context: Make) -> None:
    context = make_context("classify")
    one, other = two(context, 1.0)
    truth = context.kind.encode(context.parts["train"].truth)
    rows = np.arange(len(truth))[::-1]
    right, wrong = np.eye(4, dtype=np.float32)[truth[rows]], np.eye(4, dtype=np.float32)[(truth[rows] + 1) % 4]
    crossed = [
        told(context, fitted.validation_logits, crossed=Crossed(rows, logits))
        for fitted, logits in ((one, wrong), (other, right))
    ]
    found, n = compared(context, *crossed), len(rows) + len(context.validation.truth)
    assert found.score.mean == pytest.approx(-len(rows) / n)
    assert not found.any
    assert compared(context, crossed[0], other).score.mean == 0, "only one of both has answered them"


def test_numbers_have_no_likelihood(make_context: Make) -> None:
    context = make_context("regress")
    truth = np.asarray(context.validation.truth, np.float32)[:, None]
    found = compared(context, told(context, truth), told(context, truth + 1))
    assert found.likelihood is None
    assert found.sure


def test_labels_of_which_a_row_has_several_have_one(make_context: Make) -> None:
    context = make_context("multilabel")
    truth = np.asarray(context.validation.truth, np.float32) * 2 - 1
    found = compared(context, told(context, 3 * truth), told(context, truth * np.linspace(0.1, 1, len(truth))[:, None]))
    assert found.likelihood is not None
    assert found.likelihood.mean > 0
