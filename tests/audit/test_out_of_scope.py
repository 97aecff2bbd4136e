"""Strange rows, judged: the measures against scikit-learn, the budget, and what cannot be measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from tunewright.audit import Context
from tunewright.audit import out_of_scope as audit
from tunewright.core.types import Finding
from tunewright.kinds.classify import Classify

SCORES = st.lists(st.integers(0, 9), min_size=2, max_size=40)


def by_name(context: Context) -> dict[str, Finding]:
    return {finding.metric: finding for finding in audit.run(context)}


@settings(max_examples=50)
@given(SCORES, SCORES)
def test_the_area_is_that_of_scikit_learn(known: list[int], strange: list[int]) -> None:
    wanted = roc_auc_score([0] * len(known) + [1] * len(strange), [*known, *strange])
    assert audit.auroc(np.array(known), np.array(strange)) == pytest.approx(wanted)


def test_the_points_of_the_curve_are_those_of_scikit_learn() -> None:
    draw = np.random.default_rng(0)
    known, strange = draw.normal(0, 1, 2000), draw.normal(2, 1, 1000)
    fpr, tpr, _ = roc_curve(np.repeat([0, 1], [2000, 1000]), np.concatenate([known, strange]))
    assert audit.fpr_at_95(known, strange) == pytest.approx(fpr[np.argmax(tpr >= 0.95)], abs=0.002)
    assert audit.recall_at_5(known, strange) == pytest.approx(tpr[np.searchsorted(fpr, 0.05, "right") - 1], abs=0.005)


def judged(strange: bool, detector: str = "probability") -> Context:
    """100 known rows of which 10 have flat probabilities, 50 strange ones of which 40 have."""
    sure, flat = [3.0, 0.0, 0.0], [0.2, 0.1, 0.0]
    known, told = np.array([sure] * 90 + [flat] * 10), {"detector": detector, "threshold": 0.5, "share": 0.05}
    answers: dict[str, Any] = {"sure": sure, "flat": flat}

    def ask(columns: Any) -> Any:
        return np.array([answers[text] for text in columns["text"]])

    return Context(
        kind=Classify(("a", "b", "c"), scope=told),
        logits=known,
        inputs={"text": ["sure"] * 90 + ["flat"] * 10},
        ask=ask,
        folder=Path(),
        strange={"text": ["flat"] * 40 + ["sure"] * 10} if strange else None,
    )


def test_known_and_strange_rows_that_are_turned_away() -> None:
    found = by_name(judged(strange=True))
    assert found["rejected"].value == pytest.approx(0.1)
    assert found["rejected"].note == "promised: 5 % of known rows at the most; detector: probability"
    assert found["strange_rejected"].value == pytest.approx(0.8)
    assert found["strange_rejected"].n == 50
    assert found["auroc"].value == pytest.approx((40 * (90 + 5) + 10 * 45) / 5000)
    assert found["auroc"].exhibits[0].form == "curve"


def test_without_strange_rows_only_the_known_ones_are_measured() -> None:
    found = by_name(judged(strange=False))
    assert found["rejected"].value == pytest.approx(0.1)
    rest = [one for name, one in found.items() if name != "rejected"]
    assert {(one.value, one.note) for one in rest} == {(None, audit.NONE)}


def test_a_model_without_a_detector_is_not_judged() -> None:
    context = Context(Classify(("a", "b")), np.zeros((3, 2)), inputs={"text": ["x"] * 3}, folder=Path())
    assert {(one.value, one.note) for one in audit.run(context)} == {(None, audit.WHY)}
