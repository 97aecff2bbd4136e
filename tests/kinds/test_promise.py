"""Sets of labels: the same as mapie's, the promised coverage by simulation, and what is kept of many scores."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from mapie.classification import SplitConformalClassifier
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from tunewright.core.errors import TunewrightError
from tunewright.kinds._answers import Candidate, Label
from tunewright.kinds._promise import KEPT, Promise, Scores, rank_of
from tunewright.kinds.classify import Classify

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Its inputs are the probabilities themselves."""

    def fit(self, proba: Floats, truth: Ints) -> Given:
        self.classes_ = np.arange(proba.shape[1])
        self.is_fitted_ = True
        return self

    def predict_proba(self, proba: Floats) -> Floats:
        return proba

    def predict(self, proba: Floats) -> Ints:
        return np.asarray(proba.argmax(1))


def drawn(n: int, k: int = 5, seed: int = 0, skew: float = 0.0) -> tuple[Floats, Ints]:
    """Probabilities, and truths that are drawn from them (``skew``: class 0 is harder than they say)."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 2, (n, k))
    proba = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = (proba.cumsum(1) > draw.random((n, 1))).argmax(1)
    harder = draw.random(n) < skew
    return proba, np.where(harder & (proba.argmax(1) == 1), 0, truth)


@pytest.mark.parametrize("error", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("n", [150, 1000])
def test_the_sets_are_those_of_mapie(error: float, n: int) -> None:
    (known, truth), (asked, _) = drawn(n), drawn(400, seed=1)
    reference = SplitConformalClassifier(Given().fit(known, truth), confidence_level=1 - error, conformity_score="lac")
    wanted = reference.conformalize(known, truth).predict_set(asked)[1][:, :, 0]
    ours = Promise.of(known, truth, error, per_class=False).sets(asked)
    assert ours.tolist() == wanted.tolist()
    assert 0 < ours.sum() < ours.size


@pytest.mark.parametrize("error", [0.05, 0.1])
def test_over_many_draws_the_sets_hold_the_truth_as_often_as_promised(error: float) -> None:
    held = []
    for seed in range(300):
        (known, truth), (asked, wanted) = drawn(200, seed=2 * seed), drawn(200, seed=2 * seed + 1)
        held.append(Promise.of(known, truth, error, per_class=False).sets(asked)[np.arange(200), wanted].mean())
    assert 1 - error - 0.004 < np.mean(held) < 1 - error + 1 / 201 + 0.004


def test_a_promise_for_each_class_holds_for_the_hard_one_too() -> None:
    def of_class_0(per_class: bool) -> float:
        found = []
        for seed in range(100):
            (known, truth), (asked, wanted) = (
                drawn(600, seed=2 * seed, skew=0.3),
                drawn(600, seed=2 * seed + 1, skew=0.3),
            )
            sets = Promise.of(known, truth, 0.1, per_class=per_class).sets(asked)
            found.append(sets[wanted == 0, 0].mean())
        return float(np.mean(found))

    assert of_class_0(per_class=False) < 0.86
    assert 0.89 < of_class_0(per_class=True) < 0.93


def test_of_many_scores_few_are_kept_and_the_promise_stays() -> None:
    scores = np.random.default_rng(0).random(20_000)
    kept = Scores.of(scores, (0.05,))
    assert len(kept.ranks) <= KEPT
    for error in (0.003, 0.0123, 0.05, 0.1, 0.333, 0.5):
        exact = np.sort(scores)[rank_of(error, 20_000) - 1]
        assert exact <= kept.limit(error) < exact + 0.02
    exact = np.sort(scores)[rank_of(0.05, 20_000) - 1]
    assert exact <= kept.limit(0.05) <= exact + 1e-6


def test_too_few_rows_leave_no_label_out() -> None:
    assert Scores.of(np.arange(18.0)).limit(0.05) == math.inf
    assert Scores.of(np.arange(19.0)).limit(0.05) == 18.0
    proba, truth = drawn(10)
    assert Promise.of(proba, truth, 0.05, per_class=False).sets(proba).all()
    absent = Promise.of(proba[truth != 3], truth[truth != 3], 0.3, per_class=True)
    assert absent.sets(proba)[:, 3].all()


def test_it_survives_the_manifest_and_takes_another_rate() -> None:
    promise = Promise.of(*drawn(300), 0.05, per_class=True)
    assert Promise.load(json.loads(json.dumps(promise.spec()))) == promise
    assert promise.at(0.1).groups == promise.groups
    with pytest.raises(TunewrightError, match=r"error = 0\.7: this is no rate from 0 to 0\.5 → say for example 0\.05"):
        promise.at(0.7)


KIND = Classify(("a", "b", "c"))
KNOWN = np.array([[4.0, 0, 0]] * 95 + [[0.0, 1.0, 0]] * 4)
"""99 rows whose truth is a: for 95 of them that is plain, for 4 it is not."""
ASKED = np.array([[4.0, 0, 0], [1.0, 1.1, 0], [0.1, 0.0, 0.2]])


def test_an_answer_has_one_label_or_its_candidates() -> None:
    kind = KIND.promised(KNOWN, np.zeros(99, np.int64), 0.03)
    limit = 1 - KIND.proba(KNOWN[-1:])[0, 0]
    assert kind.promise is not None
    assert kind.promise.groups[0].limit(0.03) == pytest.approx(limit)
    sure, unsure, flat = kind.decode(ASKED)
    proba = KIND.proba(ASKED)
    assert sure == KIND.decode(ASKED)[0]
    listed = [Candidate("b", proba[1, 1]), Candidate("a", proba[1, 0])]
    assert unsure == Label(None, None, "unsure", listed)
    assert [one.label for one in flat.candidates or ()] == ["c", "a", "b"]
    assert kind.decide(ASKED).tolist() == [0, 1, 2]  # what metrics are measured on
    assert kind.columns([sure, unsure])["reason"] == ["", "unsure"]
    assert json.loads(kind.columns([sure, unsure])["candidates"][0]) == []


def test_where_no_label_reaches_the_rate_the_best_stands_alone() -> None:
    kind = KIND.promised(KNOWN, np.zeros(99, np.int64), 0.1)
    assert kind.decode(ASKED)[0].label == "a"
    assert kind.decode(ASKED)[1] == Label(None, None, "unsure", [Candidate("b", KIND.proba(ASKED)[1, 1])])


def test_with_a_rate_of_0_every_row_is_answered() -> None:
    kind = KIND.promised(KNOWN, np.zeros(99, np.int64))
    assert kind.decode(ASKED, 2) == KIND.decode(ASKED, 2)
    assert not kind.refuses
    assert [one.label for one in kind.at_error(0.03).decode(ASKED)] == ["a", None, None]
    assert kind.at_error(0.03).at_error(0).decode(ASKED) == KIND.decode(ASKED)
    assert Classify.load(json.loads(json.dumps(kind.spec()))) == kind


def test_a_set_of_one_label_that_is_not_the_best_is_answered_with_it() -> None:
    scores = (Scores(19, (19,), (0.1,)), Scores(19, (19,), (0.9,)), Scores(19, (19,), (0.1,)))
    kind = Classify(KIND.labels, promise=Promise(scores, 0.05))
    answer = kind.decode(np.array([[1.0, 0.5, -1.0]]))[0]
    assert answer.label == "b"
    assert answer.score == pytest.approx(KIND.proba(np.array([[1.0, 0.5, -1.0]]))[0, 1])


def test_without_kept_scores_no_rate_can_be_promised() -> None:
    with pytest.raises(TunewrightError, match="keeps no scores that a rate of errors rests on → leave `error` out"):
        KIND.at_error(0.05)
