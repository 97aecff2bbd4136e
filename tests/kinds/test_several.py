"""Several targets as one kind: one target alone is its own kind, and rows without a truth do not count."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.core import plugins
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Windows
from tunewright.kinds._several import Several, Single
from tunewright.kinds.classify import Classify
from tunewright.kinds.regress import Regress

VALUES: dict[str, list[Any]] = {
    "classify": ["b", "a", "c", "a", "b", "a", "c", "a", "b", "a"],
    "multilabel": [["a"], [], ["b", "c"], ["a", "c"], ["b"], ["a"], [], ["a", "b", "c"], ["c"], ["b"]],
    "regress": [1.0, 2.5, -3.0, 4.0, 0.0, 7.0, 1.5, 2.0, -1.0, 0.5],
}
TARGETS = [{"name": "intent", "kind": "classify", "weight": 3.0}, {"name": "stars", "kind": "regress", "weight": 1.0}]
TWO = [("a", 1.0), (None, 4.0), ("b", None), ("b", 7.0)]


def two() -> Several:
    return Several.learn(TWO, {"targets": TARGETS})


@pytest.mark.parametrize("name", VALUES)
@given(seed=st.integers(0, 2**16), windows=st.lists(st.integers(1, 3), min_size=10, max_size=10))
def test_one_target_is_its_own_kind(name: str, seed: int, windows: list[int]) -> None:
    """In training and in judging, to the bit, whatever the logits and the windows are."""
    values = VALUES[name]
    plain = plugins.load("kinds", name).learn(values, {})
    alone = Several.learn([(one,) for one in values], {"targets": [{"name": "y", "kind": name}]})
    truth, packed = plain.encode(values), alone.encode([(one,) for one in values])
    cut = Windows(10, np.repeat(np.arange(10), windows), np.full(sum(windows), 3), {})
    pieces = list(np.random.default_rng(seed).normal(size=(len(cut), plain.size)).astype(np.float32))
    logits = plain.gather(pieces, cut)
    (slot,) = alone.slots

    def same(one: Any, other: Any) -> None:
        np.testing.assert_array_equal(slot.own(other), one)

    assert alone.size == plain.size
    same(truth, packed)
    same(plain.spread(truth, cut), alone.spread(packed, cut))
    np.testing.assert_array_equal(alone.gather(pieces, cut), logits)
    np.testing.assert_array_equal(alone.row_score(logits, packed), plain.row_score(logits, truth))
    same(plain.decide(logits), alone.decide(logits))
    assert alone.calibrate(logits, packed).singles[0].kind == plain.calibrate(logits, truth)
    measured = plain.metrics(plain.decide(logits), truth)
    assert alone.metrics(alone.decide(logits), packed) == {f"y.{key}": value for key, value in measured.items()}
    assert alone.decode(logits, 2) == [{"y": one} for one in plain.decode(logits, 2)]
    assert alone.columns(alone.decode(logits)) == plain.columns(plain.decode(logits))
    if plain.labels:
        np.testing.assert_array_equal(alone.proba(logits), plain.proba(logits))


def test_truths_stand_side_by_side_and_what_is_missing_is_nan() -> None:
    np.testing.assert_array_equal(two().encode(TWO), [[0, 1], [np.nan, 4], [1, np.nan], [1, 7]])
    assert two().encode([]).shape == (0, 2)
    wide = Several.learn([(["a"],), (["b"],)], {"targets": [{"name": "y", "kind": "multilabel"}]})
    np.testing.assert_array_equal(wide.encode([(["b"],), ([],)]), [[0, 1], [0, 0]])


def test_a_rows_score_is_the_weighted_mean_over_the_targets_that_it_has() -> None:
    kind = Several((Single("intent", "classify", Classify(("a", "b")), 3.0), Single("n", "regress", Regress(0.0, 2.0))))
    logits = np.array([[2, 1, 1.0], [2, 1, 1.0], [2, 1, 1.0], [2, 1, 1.0]], np.float32)  # answers: a, 2.0
    truth = kind.encode([("a", 4.0), ("b", None), (None, 6.0), (None, None)])
    np.testing.assert_allclose(kind.row_score(logits, truth), [(3 * 1 - 1) / 4, 0, -4, 0])


def test_each_target_is_calibrated_on_the_rows_that_have_it() -> None:
    draws = np.random.default_rng(0)
    kind = Several.learn([("a", "x"), ("b", "y")], {"targets": [{"name": one, "kind": "classify"} for one in "st"]})
    values = [("ab"[at % 2] if at % 3 else None, "xy"[at % 2]) for at in range(60)]
    logits = draws.normal(size=(60, 4)).astype(np.float32)
    logits[:, 1] += 3 * np.array([at % 2 for at in range(60)])
    found = kind.calibrate(logits, kind.encode(values))
    rows = [at for at in range(60) if at % 3]
    first, second = (one.kind for one in kind.singles)
    own = first.calibrate(logits[rows, :2], first.encode([values[at][0] for at in rows]))
    assert found.singles[0].kind == own
    assert found.singles[1].kind == second.calibrate(logits[:, 2:], second.encode([one[1] for one in values]))
    assert found.singles[0].kind != first


def test_metrics_leave_out_rows_without_a_truth() -> None:
    kind = two()
    logits = np.array([[9, 0, 0], [0, 9, 0], [9, 0, 0], [0, 9, 0.0]], np.float32)
    found = kind.metrics(kind.decide(logits), kind.encode(TWO))
    assert found["intent.accuracy"] == pytest.approx(2 / 3)
    assert found["stars.mae"] == pytest.approx((3 + 0 + 3) / 3)


def test_it_is_read_back_as_it_was_written() -> None:
    assert Several.load(json.loads(json.dumps(two().spec()))) == two()


def test_columns_of_a_file_bear_the_targets_names() -> None:
    kind = two()
    columns = kind.columns(kind.decode(np.array([[1, 0, 0.5]], np.float32), top=1))
    assert list(columns) == ["prediction_intent", "score_intent", "candidates_intent", "prediction_stars"]
    assert columns["prediction_intent"] == ["a"]
    assert kind.columns([kind.empty("empty")])["prediction_stars"] == [None]


def test_the_closed_form_needs_one_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    assert two().closed_form == "several"
    monkeypatch.setattr(Regress, "closed_form", None)
    assert two().closed_form is None


def test_a_kind_with_a_truth_for_each_step_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Regress, "encode", lambda self, values: np.empty(len(values), object))
    with pytest.raises(TunewrightError, match="target 'stars': kind 'regress' cannot be learnt beside other targets"):
        _ = two().slots
