"""Coverage: the risk curve by hand, ties, and what a useless or a perfect score gives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tunewright.audit import Context
from tunewright.audit import coverage as audit
from tunewright.audit._intervals import wilson
from tunewright.core.types import Finding

Make = Callable[..., Context]


def by_name(context: Context) -> dict[str, Finding]:
    return {finding.metric: finding for finding in audit.run(context)}


def test_the_area_by_hand(decided: Make) -> None:
    # Surest first: right, wrong, right, right → risks 0, 1/2, 1/3, 1/4.
    found = by_name(decided([0, 1, 0, 0], [0, 0, 0, 0], [0.99, 0.9, 0.8, 0.7], k=2))
    assert found["aurc"].value == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    low, high = found["aurc"].low, found["aurc"].high
    assert low is not None
    assert high is not None
    assert 0 <= low <= high <= 1


def test_the_order_of_rows_with_equal_scores_does_not_matter(decided: Make) -> None:
    right_first = by_name(decided([0, 0, 1, 1], [0, 0, 0, 0], [0.8] * 4, k=2))["aurc"]
    wrong_first = by_name(decided([1, 1, 0, 0], [0, 0, 0, 0], [0.8] * 4, k=2))["aurc"]
    assert right_first.value == wrong_first.value == pytest.approx(0.5)


def test_scores_that_say_nothing_give_the_error_rate(decided: Make) -> None:
    draw = np.random.default_rng(0)
    truth = (draw.random(4000) < 0.3).astype(int)
    found = by_name(decided(truth, np.zeros(4000), draw.uniform(0.5, 1, 4000), k=2))
    assert found["aurc"].value == pytest.approx(truth.mean(), abs=0.02)


def test_accuracy_of_the_surest_rows(decided: Make) -> None:
    scores = np.linspace(0.99, 0.5, 100)
    truth = np.zeros(100)
    truth[80:] = 1
    found = by_name(decided(truth, np.zeros(100), scores, k=2))
    assert found["accuracy_at_80"].value == 1.0
    assert (found["accuracy_at_80"].low, found["accuracy_at_80"].n) == (wilson(80, 80)[0], 80)
    assert found["accuracy_at_90"].value == pytest.approx(80 / 90)


def test_the_table_of_limits_counts_what_stays(decided: Make) -> None:
    found = by_name(decided([0, 1, 0, 0], [0, 0, 0, 0], [0.99, 0.92, 0.85, 0.7], k=2))
    table = {row[0]: row[1:] for row in found["aurc"].exhibits[1].rows}
    assert table[0.0] == (1.0, 0.75, 4, 1)
    assert table[0.9] == (0.5, 0.5, 2, 1)
    assert table[0.95] == (0.25, 1.0, 1, 0)


def test_the_curve_ends_at_the_accuracy_of_all_rows(decided: Make) -> None:
    curve = by_name(decided([0, 1, 0, 0, 1], [0, 0, 0, 0, 0], [0.9, 0.8, 0.7, 0.6, 0.55], k=2))["aurc"].exhibits[0]
    assert curve.rows[-1][:2] == (1.0, pytest.approx(0.6))
    assert all(0 <= row[2] <= row[1] <= row[3] <= 1 for row in curve.rows)
