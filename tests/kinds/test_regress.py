"""One number per row: metrics against scikit-learn and scipy, answers and their columns."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as reference

from tunewright.core.errors import TunewrightError
from tunewright.kinds.regress import Regress, Value, mean_ranks, rank_correlation

KIND = Regress(10.0, 2.0)
NUMBERS = st.floats(-1e3, 1e3).map(lambda value: round(value, 3))
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=3, max_size=40)


@settings(max_examples=30)
@given(PAIRS)
def test_metrics_are_what_scikit_learn_and_scipy_say(pairs: list[tuple[float, float]]) -> None:
    truth, said = np.array(pairs).T
    found = KIND.metrics(said, truth)
    assert found["mae"] == pytest.approx(reference.mean_absolute_error(truth, said))
    assert found["rmse"] == pytest.approx(reference.root_mean_squared_error(truth, said))
    if np.ptp(truth) > 0:
        assert found["r2"] == pytest.approx(reference.r2_score(truth, said), rel=1e-6, abs=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy warns of constant inputs, which have no correlation
        spearman = float(stats.spearmanr(truth, said).statistic)
    assert found["spearman"] == pytest.approx(0.0 if np.isnan(spearman) else spearman, abs=1e-9)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_ranks_are_what_scipy_says(values: list[int]) -> None:
    assert (mean_ranks(np.array(values)) + 1).tolist() == stats.rankdata(values).tolist()


def test_a_constant_has_neither_correlation_nor_explained_variance() -> None:
    ones, rising = np.ones(4), np.arange(4.0)
    assert rank_correlation(ones, rising) == 0.0
    assert KIND.metrics(rising, ones)["r2"] == 0.0
    assert set(KIND.metrics(np.zeros(0), np.zeros(0)).values()) == {0.0}


def test_numbers_are_learnt_in_units_of_their_spread() -> None:
    kind = Regress.learn([1, 2.5, "4"], {})
    assert kind.mean == 2.5
    assert kind.scale == pytest.approx(np.std([1, 2.5, 4]))
    assert kind.encode([1, "2"]).tolist() == [1.0, 2.0]
    assert Regress.load(json.loads(json.dumps(kind.spec()))) == kind
    with pytest.raises(TunewrightError, match="every value of the target is 3"):
        Regress.learn([3, 3.0], {})


@given(st.lists(st.floats(-1e3, 1e3, width=32), max_size=20))
def test_the_answer_is_the_number(values: list[float]) -> None:
    logits = np.array(values, np.float32)[:, None]
    decided = KIND.decide(logits)
    assert decided.tolist() == pytest.approx([10 + 2 * value for value in values])
    assert KIND.decode(logits, 3) == [Value(value) for value in decided.tolist()]
    truth = decided + 4
    assert KIND.row_score(logits, truth).tolist() == pytest.approx([-4.0] * len(values))
    assert KIND.calibrate(logits, truth) == KIND


def test_there_are_no_probabilities() -> None:
    with pytest.raises(TunewrightError, match="use predict"):
        KIND.proba(np.zeros((1, 1)))


def test_the_columns_of_answers() -> None:
    answers: list[Any] = [*KIND.decode(np.array([[1.0]])), KIND.empty("empty")]
    assert answers[1] == Value(None, "empty")
    assert KIND.columns(answers) == {"prediction": [12.0, None]}
