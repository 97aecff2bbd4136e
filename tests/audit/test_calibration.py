"""Calibration: hand-computed bins, scikit-learn's Brier score, and samples whose truth is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import brier_score_loss

from tunewright.audit import Context
from tunewright.audit import calibration as audit
from tunewright.core.types import Finding
from tunewright.kinds.classify import Classify
from tunewright.kinds.multilabel import Multilabel

Make = Callable[..., Context]


def by_name(context: Context) -> dict[str, Finding]:
    return {finding.metric: finding for finding in audit.run(context)}


def binary(scores: NDArray[np.float64], right: NDArray[np.bool_], seed: int = 0) -> Context:
    """Two classes; class 1 is always decided, with these scores."""
    logits = np.stack([np.log1p(-scores), np.log(scores)], 1)
    return Context(Classify(("no", "yes")), logits, right.astype(np.int64), seed=seed)


def sample(n: int, shift: float, seed: int) -> Context:
    """Scores between 0.5 and 1 that are ``shift`` too high."""
    generator = np.random.default_rng(seed)
    scores = 0.5 + 0.499 * generator.beta(2, 1, n)
    return binary(scores, generator.random(n) < np.clip(scores - shift, 0, 1), seed)


def test_ece_by_hand(decided: Make) -> None:
    # 0.95 lies in the last bin: 3 of 4 right, off by 0.20; 0.55 in bin (8/15, 9/15]: 1 of 2 right, off by 0.05.
    context = decided([0, 0, 0, 1, 0, 1], [0, 0, 0, 0, 0, 0], [0.95] * 4 + [0.55] * 2, k=2)
    found = by_name(context)
    assert found["ece"].value == pytest.approx((4 * 0.20 + 2 * 0.05) / 6)
    assert found["confidence_gap"].value == pytest.approx((4 * 0.95 + 2 * 0.55) / 6 - 4 / 6)
    diagram = found["ece"].exhibits[0]
    assert [row[6] for row in diagram.rows] == [2, 4]
    assert [row[3] for row in diagram.rows] == [0.5, 0.75]


def test_a_score_on_the_edge_belongs_to_the_bin_below() -> None:
    scores = np.array([0.0, 1 / 15, 0.0667, 0.2, 1.0])
    assert audit.bin_of(scores).tolist() == [0, 0, 1, 2, 14]


def test_the_brier_score_is_that_of_scikit_learn() -> None:
    context = sample(500, 0.1, 0)
    ours = by_name(context)["brier"].value
    scores = context.proba[:, 1]
    assert ours == pytest.approx(2 * brier_score_loss(context.truth, scores))


def test_the_brier_score_of_several_labels_is_the_mean_over_labels() -> None:
    truth = np.array([[1, 0], [0, 1], [1, 1]], np.uint8)
    logits = np.array([[2.0, -1.0], [0.5, 0.3], [-1.0, 4.0]])
    context = Context(Multilabel(("a", "b"), (0.5, 0.5)), logits, truth)
    expected = np.mean([brier_score_loss(truth[:, at], context.proba[:, at]) for at in range(2)])
    assert by_name(context)["brier"].value == pytest.approx(expected)


def test_a_calibrated_sample_has_an_ece_that_chance_explains() -> None:
    for seed in range(5):
        found = by_name(sample(2000, 0.0, seed))
        assert found["ece"].low == 0.0
        assert (found["ece"].value or 1) < 0.04
        assert found["ece_by_chance"].value == pytest.approx(found["ece"].value, abs=0.012)


def test_a_shifted_sample_is_found_out_by_its_size() -> None:
    found = by_name(sample(4000, 0.1, 0))
    assert found["ece"].value == pytest.approx(0.1, abs=0.015)
    assert (found["ece"].low or 0) > 0.07
    assert found["confidence_gap"].value == pytest.approx(0.1, abs=0.015)
    assert (found["confidence_gap"].low or 0) > 0


def test_the_interval_of_ece_covers_the_true_value() -> None:
    covered = dict.fromkeys((0.0, 0.1), 0)
    for shift in covered:
        for seed in range(120):
            ece = by_name(sample(400, shift, seed))["ece"]
            covered[shift] += (ece.low or 0) <= shift <= (ece.high or 0)
    assert covered[0.0] / 120 >= 0.93
    assert covered[0.1] / 120 >= 0.89


def test_drawing_by_products_of_matrices_is_drawing_rows() -> None:
    context = sample(60, 0.1, 0)
    scores = audit.scores_of(context)
    drawn = audit._drawn(context, scores, audit.bin_table(scores))
    index = next(iter(audit.draws(60, context.seed, 1)))
    picked = audit.scores_of(Context(context.kind, context.logits[index], context.truth[index]))
    assert drawn["ece"][0] == pytest.approx(audit.ece(audit.bin_table(picked).sum(0)))
    assert drawn["brier"][0] == pytest.approx(picked.brier.mean())


def test_before_is_the_same_model_without_its_calibration() -> None:
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 3, 900)
    logits = 8.0 * (np.eye(3)[truth] + draw.normal(0, 0.8, (900, 3)))
    kind = Classify(("a", "b", "c")).calibrate(logits, truth)
    found, alone = by_name(Context(kind, logits, truth)), by_name(Context(Classify(kind.labels), logits, truth))
    for name in ("ece", "brier"):
        before, after = found[f"{name}_before"], found[name]
        assert before.value == alone[name].value
        assert before.value is not None
        assert after.value is not None
        assert after.value < before.value
        assert before.note == audit.BEFORE
        assert alone[f"{name}_before"].note == audit.UNCALIBRATED
    assert found["ece_before"].exhibits[0].title == "Reliability diagram before calibration"
    assert found["ece_before"].exhibits[0].rows == alone["ece"].exhibits[0].rows
    assert found["ece"].exhibits[0].rows != found["ece_before"].exhibits[0].rows


def test_before_of_several_labels_per_row() -> None:
    draw = np.random.default_rng(0)
    truth = (draw.random((400, 3)) < 0.4).astype(np.uint8)
    logits = 6.0 * (2.0 * truth - 1 + draw.normal(0, 1.5, (400, 3)))
    kind = Multilabel(("a", "b", "c"), (0.5,) * 3).calibrate(logits, truth)
    found = by_name(Context(kind, logits, truth))
    assert found["ece_before"].value is not None
    assert found["ece"].value is not None
    assert found["ece"].value < found["ece_before"].value
