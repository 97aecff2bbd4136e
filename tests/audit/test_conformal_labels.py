"""Rates of several labels, judged: counts by hand, both promises over drawn rows, and what cannot be measured."""

from __future__ import annotations

import numpy as np
import pytest

from tunewright.audit import Context
from tunewright.audit import conformal_labels as audit
from tunewright.audit._intervals import wilson
from tunewright.core.types import Finding
from tunewright.kinds._promise import Scores
from tunewright.kinds._promised_labels import LabelPromise
from tunewright.kinds.multilabel import Multilabel

PLAIN = Multilabel(("a", "b", "c"), (0.5,) * 3)


def by_name(context: Context) -> dict[str, Finding]:
    return {finding.metric: finding for finding in audit.run(context)}


def log_odds(proba: np.ndarray) -> np.ndarray:
    return np.log(proba) - np.log1p(-proba)


def rows() -> Context:
    """Labels from 0.2 on stay open and above 0.8 are said; 40 rows: 20 of a, 10 of a and b, 10 of none."""
    limits = [Scores(999, tuple(range(1, 1000)), (value,) * 999) for value in (0.8, 0.8)]
    kind = Multilabel(PLAIN.labels, PLAIN.thresholds, promise=LabelPromise((limits[0],), limits[1]))
    proba = np.array([[0.9, 0.05, 0.05]] * 20 + [[0.9, 0.1, 0.4]] * 10 + [[0.1, 0.1, 0.9]] * 10)
    truth = np.array([[1, 0, 0]] * 20 + [[1, 1, 0]] * 10 + [[0, 0, 0]] * 10, np.uint8)
    return Context(kind, log_odds(proba), truth)


def test_shares_by_hand() -> None:
    found = by_name(rows())
    assert found["kept_95"].value == pytest.approx((20 + 10 / 2) / 30)
    assert found["kept_95"].n == 30
    assert (found["kept_95"].low, found["kept_95"].high) == pytest.approx(wilson(25, 30))
    assert (found["right_95"].value, found["right_95"].n) == (pytest.approx(30 / 40), 40)
    assert found["open_95"].value == pytest.approx(10 / 40)
    assert found["whole_95"].value == pytest.approx(30 / 40)
    assert (found["worst_label_kept"].value, found["worst_label_kept"].n) == (0.0, 10)
    assert [row[0] for row in found["worst_label_kept"].exhibits[0].rows] == ["b", "a"]
    assert found["kept_95"].exhibits[0].rows[2] == pytest.approx((0.95, 25 / 30, 30 / 40, 10 / 40, 30 / 40))


def drawn(n: int, seed: int, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds by which truths are drawn, and then blurred."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(-1.0, 2.5, (n, 3))
    truth = (draw.random((n, 3)) < 1 / (1 + np.exp(-logits))).astype(np.uint8)
    return logits + draw.normal(0, noise, (n, 3)), truth


def test_the_promise_is_kept_by_rows_of_the_same_kind_and_missed_by_others() -> None:
    kind = PLAIN.promised(*drawn(2000, 0))
    held, moved = by_name(Context(kind, *drawn(2000, 1))), by_name(Context(kind, *drawn(2000, 1, noise=5.0)))
    for level, promise in (("90", 0.9), ("95", 0.95)):
        for name in ("kept", "right"):
            upper, wrong = held[f"{name}_{level}"].high, moved[f"{name}_{level}"].high
            assert upper is not None
            assert wrong is not None
            assert promise <= upper + 0.01
            assert wrong < promise
    assert (held["open_95"].value or 0) > (held["open_90"].value or 0) > 0


def test_without_kept_scores_nothing_is_measured() -> None:
    found = audit.run(Context(PLAIN, *drawn(5, 0)))
    assert [one.metric for one in found] == list(audit.metrics(PLAIN))
    assert {(one.value, one.note) for one in found} == {(None, audit.WHY)}


@pytest.mark.parametrize("per_class", [False, True])
def test_the_rows_that_the_scores_come_from_prove_nothing(per_class: bool) -> None:
    logits, truth = drawn(400, 0)
    kind = PLAIN.promised(logits, truth, per_class=per_class)
    assert {(one.value, one.note) for one in audit.run(Context(kind, logits, truth))} == {(None, audit.SAME)}
    assert audit.run(Context(kind, logits[:399], truth[:399]))[0].value is not None


def test_rows_without_any_label_have_nothing_to_keep() -> None:
    context = rows()
    found = by_name(Context(context.kind, context.logits[30:], context.truth[30:]))
    assert (found["kept_90"].value, found["kept_90"].note) == (None, "not run, because no row has a label")
    assert (found["worst_label_kept"].value, found["worst_label_kept"].note) == (None, audit.FEW)
    assert found["right_90"].value == 0.0
