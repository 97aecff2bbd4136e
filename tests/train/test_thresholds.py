"""Thresholds for the sake of groups: they shrink a planted gap, hurt nobody on held-out rows, and say so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fairlearn.postprocessing import ThresholdOptimizer
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator

from tunewright.kinds.classify import Classify
from tunewright.train.thresholds import LOSS, HeldOut, Measured, even, offsets

Make = Callable[..., Any]


def planted(seed: int, n: int = 1200, k: int = 2, shift: float = 1.2) -> HeldOut:
    """Scores of the second group lie too low for the last label."""
    draw = np.random.default_rng(seed)
    truth, groups = draw.integers(0, k, n), draw.integers(0, 2, n)
    logits = draw.normal(0, 1, (n, k)) + 2.0 * np.eye(k)[truth]
    logits[:, -1] -= shift * (1 + groups)
    scores = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return HeldOut.of(scores, truth, groups)


def of(rows: HeldOut, moved: Any = 0.0) -> Measured:
    return rows.measured((rows.scores + moved).argmax(1) == rows.truth)


def test_a_gap_is_measured_label_by_label() -> None:
    truth, groups = np.repeat([0, 1, 0, 1], [10, 90, 90, 10]), np.repeat([0, 1], 100)
    rows = HeldOut.of(np.zeros((200, 2)), truth, groups)
    assert rows.measured(truth == 0)[:3] == (
        0.0,
        0.5,
        0.5,
    )  # although 10 % of one group is right, and 90 % of the other


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 4), st.floats(0, 2))
def test_on_held_out_rows_nobody_is_hurt(seed: int, k: int, shift: float) -> None:
    rows = planted(seed, 400, k, shift)
    before = of(rows)
    after = of(rows, offsets(rows))
    assert after.gap <= before.gap + 1e-9
    assert after.worst >= before.worst - 1e-9
    assert after.mean >= before.mean - LOSS
    assert after.accuracy >= before.accuracy - LOSS


def test_a_planted_gap_shrinks_on_new_rows_too() -> None:
    before, after = [], []
    for seed in range(5):
        found = offsets(planted(seed))
        fresh = planted(100 + seed)
        before.append(of(fresh))
        after.append(of(fresh, found))
    assert np.mean([one[0] for one in after]) < 0.7 * np.mean([one[0] for one in before])
    assert np.mean([one[1] for one in after]) > np.mean([one[1] for one in before])


class Scores(BaseEstimator):
    """A classifier whose scores are its input."""

    classes_ = (0, 1)

    def fit(self, *_: Any) -> Scores:
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, rows: Any) -> Any:
        return rows[:, 0]


def test_thresholds_of_each_group_close_more_and_ask_for_the_group() -> None:
    """fairlearn's optimiser knows the group of each row when it answers: the gap that is left to us is the price."""
    rows = planted(3)
    proba = np.exp(rows.scores)[:, 1:]
    model = ThresholdOptimizer(estimator=Scores(), constraints="equalized_odds", prefit=True, predict_method="predict")
    model.fit(proba, rows.truth, sensitive_features=rows.groups)
    said = model.predict(proba, sensitive_features=rows.groups, random_state=0)
    reference, ours = rows.measured(said == rows.truth), of(rows, offsets(rows))
    assert reference[0] < 0.05
    assert ours[0] < of(rows)[0]
    assert ours[2] > reference[2] - 0.05


def test_a_kind_with_offsets_decides_by_them_and_leaves_probabilities_alone() -> None:
    kind = Classify(("a", "b"), 2.0)
    moved = replace(kind, offsets=(0.0, 1.0))
    logits = np.array([[1.0, 0.0], [4.0, 0.0], [0.0, 1.0]])
    assert kind.decide(logits).tolist() == [0, 0, 1]
    assert moved.decide(logits).tolist() == [1, 0, 1]
    np.testing.assert_allclose(moved.proba(logits), kind.proba(logits))
    answer = moved.decode(logits, top=2)[0]
    assert (answer.label, answer.score) == ("b", pytest.approx(float(kind.proba(logits)[0, 1])))
    assert answer.candidates is not None
    assert [one.label for one in answer.candidates] == ["b", "a"]
    assert Classify.load(moved.spec()) == moved
    assert "offsets" not in kind.spec()


def test_the_fit_tells_what_it_moved(make_context: Make) -> None:
    asked = {"audit.groups": ["who"], "fairness.thresholds": True}
    context = make_context("classify", asked, intents=2)
    truth = context.kind.encode(context.parts["validation"].truth)
    hers = np.zeros(len(truth), bool)
    hers[np.argsort(truth, kind="stable")[::2]] = True
    groups = np.where(hers, "f", "m").tolist()
    context.parts = context.parts | {"validation": replace(context.parts["validation"], groups=groups)}
    scores = 1.0 * np.eye(2)[truth]
    scores[:, 1] -= np.where(hers, 0.0, 1.5)
    kind = even(context, context.kind, scores, truth)
    assert isinstance(kind, Classify)
    assert any(kind.offsets)
    assert context.run.told[-1]["say"].startswith("fairness.thresholds, mean over labels on validation rows: gap 0.")
    plain = make_context("classify", {"audit.groups": ["who"]}, intents=2)
    assert even(plain, plain.kind, scores, truth) is plain.kind


def test_too_few_rows_move_nothing(make_context: Make) -> None:
    context = make_context("classify", {"audit.groups": ["who"], "fairness.thresholds": True})
    truth = context.kind.encode(context.parts["validation"].truth)
    alone = replace(context.parts["validation"], groups=["f"] * len(truth))
    context.parts = context.parts | {"validation": alone}
    kind = even(context, context.kind, np.zeros((len(truth), 4)), truth)
    assert kind is context.kind
    assert "fewer than two labels have 5 validation rows in each of several groups" in context.run.told[-1]["say"]
