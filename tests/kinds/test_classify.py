"""One label per row: metrics against scikit-learn, calibration, answers and their columns."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as reference

from tunewright.core.errors import TunewrightError
from tunewright.core.types import Windows
from tunewright.kinds._answers import Label
from tunewright.kinds.classify import Classify

KIND = Classify(("a", "b", "c"))
POSITIONS = st.integers(0, 3)
PAIRS = st.lists(st.tuples(POSITIONS, POSITIONS), min_size=1, max_size=40)
LOGITS = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 12), st.just(3)),
    elements=st.floats(-1e6, 1e6, width=32) | st.sampled_from([0.0, 1e-30, 1.0, 1.0000001]),
)


@settings(max_examples=30)
@given(PAIRS)
def test_metrics_are_what_scikit_learn_says(pairs: list[tuple[int, int]]) -> None:
    truth, said = np.array(pairs, np.int64).T
    found = Classify(("a", "b", "c", "d")).metrics(said, truth)
    seen = np.union1d(truth, said)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of classes that are only predicted
        balanced = reference.balanced_accuracy_score(truth, said)
    assert found == {
        "accuracy": pytest.approx(reference.accuracy_score(truth, said)),
        "macro_f1": pytest.approx(reference.f1_score(truth, said, average="macro", labels=seen)),
        "balanced_accuracy": pytest.approx(balanced),
    }
    assert all(type(value) is float for value in found.values())


def test_metrics_of_no_rows_are_numbers() -> None:
    nothing = np.zeros(0, np.int64)
    assert KIND.metrics(nothing, nothing) == {"accuracy": 0.0, "macro_f1": 0.0, "balanced_accuracy": 0.0}


@given(LOGITS, st.floats(0.05, 20.0), st.integers(1, 5))
def test_the_answer_is_the_label_of_the_largest_logit(logits: Any, temperature: float, top: int) -> None:
    kind = Classify(KIND.labels, temperature)
    decided = kind.decide(logits)
    proba = kind.proba(logits)
    assert decided.tolist() == logits.argmax(-1).tolist()
    for row, answer in enumerate(kind.decode(logits, top)):
        assert answer.label == kind.labels[decided[row]]
        assert answer.score == proba[row, decided[row]] == proba[row].max()
        assert answer.candidates is not None
        assert vars(answer.candidates[0]) == {"label": answer.label, "score": answer.score}
        scores = [one.score for one in answer.candidates]
        assert scores == sorted(scores, reverse=True)
        assert len({one.label for one in answer.candidates}) == min(top, 3)


def test_probabilities_sum_to_one_and_cool_down() -> None:
    logits = np.array([[2.0, 0.0, -1.0]], np.float32)
    sharp, soft = Classify(KIND.labels, 0.5).proba(logits), Classify(KIND.labels, 5.0).proba(logits)
    assert sharp.sum() == pytest.approx(1)
    assert soft.sum() == pytest.approx(1)
    assert sharp.max() > KIND.proba(logits).max() > soft.max()


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10.0), st.integers(2, 60))
def test_calibration_never_makes_the_likelihood_worse(seed: int, scale: float, rows: int) -> None:
    draw = np.random.default_rng(seed)
    logits = (draw.normal(size=(rows, 3)) * scale).astype(np.float32)
    truth = draw.integers(0, 3, rows)
    calibrated = KIND.calibrate(logits, truth)
    assert likelihood(calibrated, logits, truth) <= likelihood(KIND, logits, truth) + 1e-6
    assert calibrated.decide(logits).tolist() == KIND.decide(logits).tolist()


def test_calibration_finds_the_temperature_that_made_the_rows() -> None:
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(20_000, 3)).astype(np.float32) * 2
    truth = np.array([draw.choice(3, p=row) for row in Classify(KIND.labels, 2.5).proba(logits)])
    assert KIND.calibrate(logits, truth).temperature == pytest.approx(2.5, rel=0.1)


def likelihood(kind: Classify, logits: Any, truth: Any) -> float:
    """Mean negative log-likelihood."""
    return float(-np.log(np.maximum(kind.proba(logits)[np.arange(len(truth)), truth], 1e-300)).mean())


def test_without_held_out_rows_nothing_is_calibrated() -> None:
    assert KIND.calibrate(np.zeros((0, 3), np.float32), np.zeros(0, np.int64)) == KIND


def test_what_is_learnt_survives_the_manifest() -> None:
    kind = Classify(("ä", "b|c"), 1.234567)
    assert Classify.load(json.loads(json.dumps(kind.spec()))) == kind
    assert Classify.learn(["b", "a", "b"], {}).labels == ("a", "b")
    assert Classify.learn(["b", "a", "b"], {"labels": ("b", "a")}).labels == ("b", "a")
    assert kind.size == 2


def test_labels_are_encoded_and_spread_over_windows() -> None:
    truth = KIND.encode(["c", "a", "b"])
    assert truth.dtype == np.int64
    assert truth.tolist() == [2, 0, 1]
    windows = Windows(3, np.array([0, 0, 1, 2, 2]), np.ones(5, np.int64), {})
    assert KIND.spread(truth, windows).tolist() == [2, 2, 0, 1, 1]


@pytest.mark.parametrize("label", ["aa", None, 1, "A"])
def test_an_unknown_label_is_refused_with_the_nearest(label: object) -> None:
    with pytest.raises(TunewrightError) as caught:
        Classify(("a", "card_lost")).encode(["a", label])
    assert caught.value.problem == f"label {label!r} is unknown to this task"


def test_a_misspelt_label_is_answered_with_the_nearest() -> None:
    with pytest.raises(TunewrightError, match="did you mean 'card_lost'"):
        Classify(("a", "card_lost")).encode(["card_losst"])


def test_the_score_of_a_row_is_right_or_wrong() -> None:
    logits = np.array([[1, 0, 0], [1, 0, 0]], np.float32)
    assert KIND.row_score(logits, np.array([0, 1])).tolist() == [1.0, 0.0]


def test_the_columns_of_answers() -> None:
    logits = np.array([[3.0, 0.0, 0.0]], np.float32)
    plain = [*KIND.decode(logits), KIND.empty("empty")]
    assert plain[1] == Label(None, None, "empty")
    assert KIND.columns(plain) == {"prediction": ["a", None], "score": [plain[0].score, None]}
    listed = KIND.columns([*KIND.decode(logits, 2), KIND.empty("empty")])
    assert list(listed) == ["prediction", "score", "candidates"]
    first, second = (json.loads(one) for one in listed["candidates"])
    assert [one["label"] for one in first] == ["a", "b"]
    assert second == []
    assert KIND.columns([]) == {"prediction": [], "score": []}
    assert KIND.decode(np.zeros((0, 3), np.float32), 2) == []
