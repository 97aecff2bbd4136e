"""Any number of labels per row: metrics against scikit-learn, calibration, thresholds, answers and their columns."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as reference

from tunewright.core.errors import TunewrightError
from tunewright.core.types import Windows
from tunewright.kinds.multilabel import Labels, Multilabel, best_threshold

KIND = Multilabel(("a", "b", "c"), (0.5, 0.5, 0.5))
TABLES = hnp.arrays(np.uint8, st.tuples(st.integers(1, 30), st.just(3)), elements=st.integers(0, 1))
LOGITS = hnp.arrays(np.float32, st.tuples(st.integers(1, 12), st.just(3)), elements=st.floats(-1e4, 1e4, width=32))


@settings(max_examples=30)
@given(TABLES, st.integers(0, 2**32 - 1))
def test_metrics_are_what_scikit_learn_says(truth: Any, seed: int) -> None:
    said = truth ^ (np.random.default_rng(seed).random(truth.shape) < 0.3)
    seen = np.flatnonzero((truth + said).sum(0))
    macro = reference.f1_score(truth, said, average="macro", labels=seen) if len(seen) else 0.0
    assert KIND.metrics(said, truth) == {
        "micro_f1": pytest.approx(reference.f1_score(truth, said, average="micro", zero_division=0)),
        "macro_f1": pytest.approx(macro),
        "subset_accuracy": pytest.approx(reference.accuracy_score(truth, said)),
        "hamming_loss": pytest.approx(reference.hamming_loss(truth, said)),
    }


def test_metrics_of_no_rows_are_numbers() -> None:
    nothing = np.zeros((0, 3), np.uint8)
    assert set(KIND.metrics(nothing, nothing).values()) == {0.0}


@settings(max_examples=30)
@given(LOGITS, st.integers(0, 2**32 - 1))
def test_the_score_of_a_row_is_its_f1(logits: Any, seed: int) -> None:
    truth = (np.random.default_rng(seed).random(logits.shape) < 0.5).astype(np.uint8)
    expected = [
        reference.f1_score(one[None], other[None], average="samples", zero_division=1)
        for one, other in zip(truth, KIND.decide(logits), strict=True)
    ]
    assert KIND.row_score(logits, truth).tolist() == pytest.approx(expected)


@given(LOGITS, st.lists(st.floats(0, 1), min_size=3, max_size=3), st.integers(0, 4))
def test_the_answer_is_the_labels_that_reach_their_thresholds(logits: Any, limits: list[float], top: int) -> None:
    kind = Multilabel(KIND.labels, tuple(limits), 2.0)
    proba, decided = kind.proba(logits), kind.decide(logits)
    assert decided.dtype == np.uint8
    for row, answer in enumerate(kind.decode(logits, top)):
        chosen = [at for at in range(3) if proba[row, at] >= limits[at]]
        assert decided[row].tolist() == [int(at in chosen) for at in range(3)]
        assert answer.labels == [kind.labels[at] for at in chosen]
        assert answer.scores == [proba[row, at] for at in chosen]
        if not top:
            assert answer.candidates is None
            continue
        assert answer.candidates is not None
        scores = [one.score for one in answer.candidates]
        assert scores == sorted(proba[row], reverse=True)[:top]


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10.0), st.integers(2, 60))
def test_calibration_makes_neither_likelihood_nor_f1_worse(seed: int, scale: float, rows: int) -> None:
    draw = np.random.default_rng(seed)
    logits = (draw.normal(size=(rows, 3)) * scale).astype(np.float32)
    truth = (draw.random((rows, 3)) < 0.4).astype(np.uint8)
    calibrated = KIND.calibrate(logits, truth)
    assert likelihood(calibrated, logits, truth) <= likelihood(KIND, logits, truth) + 1e-6
    before, after = (f1_per_label(kind.decide(logits), truth) for kind in (KIND, calibrated))
    assert (after >= before - 1e-12).all()


def likelihood(kind: Multilabel, logits: Any, truth: Any) -> float:
    proba = np.clip(kind.proba(logits), 1e-300, 1)
    rest = np.clip(1 - kind.proba(logits), 1e-16, 1)
    return float(-np.where(truth > 0, np.log(proba), np.log(rest)).mean())


def f1_per_label(said: Any, truth: Any) -> Any:
    return reference.f1_score(truth, said, average=None, zero_division=0)


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.floats(0, 1) | st.sampled_from([0.3, 0.3000001, 1e-9]), st.integers(0, 1)),
        min_size=5,
        max_size=40,
    )
)
def test_no_threshold_has_a_better_f1(rows: list[tuple[float, int]]) -> None:
    proba, truth = np.array([p for p, _ in rows]), np.array([t for _, t in rows], np.uint8)
    found = best_threshold(proba, truth)
    if truth.sum() < 5:
        assert found == 0.5
        return

    def f1(limit: float) -> float:
        return float(reference.f1_score(truth, proba >= limit, zero_division=0))

    assert 0 <= found <= 1
    assert f1(found) == pytest.approx(max(f1(limit) for limit in proba))


def test_a_label_with_few_rows_keeps_one_half() -> None:
    proba, truth = np.linspace(0, 1, 20), np.zeros(20, np.uint8)
    truth[:4] = 1
    assert best_threshold(proba, truth) == 0.5
    truth[4] = 1
    assert best_threshold(proba, truth) != 0.5


def test_without_held_out_rows_nothing_is_calibrated() -> None:
    assert KIND.calibrate(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8)) == KIND


def test_what_is_learnt_survives_the_manifest() -> None:
    kind = Multilabel(("ä", "b"), (0.1 + 0.2, 0.25), 1.5, ";")
    assert Multilabel.load(json.loads(json.dumps(kind.spec()))) == kind
    learnt = Multilabel.learn([["b"], ["a", "b"], []], {"separator": ";"})
    assert learnt == Multilabel(("a", "b"), (0.5, 0.5), 1.0, ";")
    assert Multilabel.learn([["b"]], {"columns": ("b", "a")}).labels == ("b", "a")
    assert Multilabel.learn([["b"]], {"labels": ("b", "c")}).labels == ("b", "c")


def test_labels_are_encoded_and_spread_over_windows() -> None:
    truth = KIND.encode([["c", "a"], [], ["b", "b"]])
    assert truth.dtype == np.uint8
    assert truth.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    windows = Windows(3, np.array([0, 1, 2, 2]), np.ones(4, np.int64), {})
    assert KIND.spread(truth, windows).tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0], [0, 1, 0]]


def test_an_unknown_label_is_refused_with_the_nearest() -> None:
    with pytest.raises(TunewrightError, match=r"label 'angri' is unknown to this task → did you mean 'angry'\?"):
        Multilabel(("angry", "calm"), (0.5, 0.5)).encode([["calm"], ["calm", "angri"]])


def test_the_columns_of_answers() -> None:
    kind = Multilabel(("a", "b", "c"), (0.5, 0.5, 0.5), separator="; ")
    logits = np.array([[3.0, 1.0, -9.0], [-9, -9, -9]], np.float32)
    answers = [*kind.decode(logits), kind.empty("empty")]
    assert answers[2] == Labels(None, None, "empty")
    columns = kind.columns(answers)
    assert columns["prediction"] == ["a; b", "", None]
    assert columns["score"][1:] == ["", None]
    assert [float(one) for one in columns["score"][0].split("; ")] == pytest.approx(answers[0].scores, rel=1e-5)
    listed = kind.columns([*kind.decode(logits, 1), kind.empty("empty")])
    assert [[one["label"] for one in json.loads(cell)] for cell in listed["candidates"]] == [["a"], ["a"], []]
    assert kind.columns([]) == {"prediction": [], "score": []}
