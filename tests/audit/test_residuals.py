"""Residuals of numbers."""

from __future__ import annotations

import numpy as np
import pytest

from tunewright.audit import Context
from tunewright.audit import residuals as audit
from tunewright.kinds.regress import Regress


@pytest.fixture
def context() -> Context:
    draw = np.random.default_rng(0)
    truth = draw.normal(0, 1, 500)
    decided = truth + 0.3 + draw.normal(0, 0.1, 500)
    return Context(Regress(0.0, 1.0), decided[:, None], truth, {"text": [f"t{at}" for at in range(500)]})


def test_bias_and_quantiles(context: Context) -> None:
    found = {finding.metric: finding for finding in audit.run(context)}
    residuals = context.decided - context.truth
    assert found["bias"].value == pytest.approx(residuals.mean())
    assert found["error_p90"].value == pytest.approx(np.quantile(np.abs(residuals), 0.9))
    half = 1.96 * residuals.std(ddof=1) / np.sqrt(500)
    assert (found["bias"].low, found["bias"].high) == pytest.approx(
        (residuals.mean() - half, residuals.mean() + half), abs=2e-3
    )


def test_the_histogram_counts_every_row(context: Context) -> None:
    histogram = next(one for one in audit.run(context)[0].exhibits if one.form == "bars")
    assert sum(row[1] for row in histogram.rows) == 500


def test_residuals_by_prediction_lie_at_the_bias(context: Context) -> None:
    curve = next(one for one in audit.run(context)[0].exhibits if one.form == "curve")
    assert len(curve.rows) == 10
    assert [row[1] for row in curve.rows] == pytest.approx([0.3] * 10, abs=0.05)


def test_the_worst_rows_are_private_and_first(context: Context) -> None:
    worst = next(one for one in audit.run(context)[0].exhibits if one.title == "Largest residuals")
    assert worst.private
    assert abs(worst.rows[0][-1]) == pytest.approx(np.abs(context.decided - context.truth).max())


def test_without_inputs_there_is_no_exhibit_of_rows(context: Context) -> None:
    findings = audit.run(Context(context.kind, context.logits, context.truth))
    assert not [one for finding in findings for one in finding.exhibits if one.private]
