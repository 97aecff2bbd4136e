"""Rates of several labels: mapie's and the formula's, kept over many draws, and what becomes of answers."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from mapie.risk_control import MultiLabelClassificationController
from numpy.typing import NDArray

from tunewright.core.errors import TunewrightError
from tunewright.kinds._answers import Candidate
from tunewright.kinds._promise import KEPT, Scores
from tunewright.kinds._promised_labels import LabelPromise
from tunewright.kinds.multilabel import Labels, Multilabel

Floats = NDArray[np.float64]
Truth = NDArray[np.uint8]


def drawn(n: int, seed: int = 0, k: int = 6, sharp: float = 2.0) -> tuple[Floats, Truth]:
    """Probabilities, and truths that are drawn from them; many rows have several labels, some have none."""
    draw = np.random.default_rng(seed)
    proba = 1 / (1 + np.exp(-draw.normal(-1.0, sharp, (n, k))))
    return proba, (draw.random((n, k)) < proba).astype(np.uint8)


def left_out(said: NDArray[np.bool_], unsure: NDArray[np.bool_], truth: Truth) -> Floats:
    """Of each row that has labels, the share of them that is left out."""
    having = truth.any(1)
    missed = (~said & ~unsure & (truth > 0)).sum(1)
    return np.asarray((missed[having] / truth.sum(1)[having]), np.float64)


def wrong(said: NDArray[np.bool_], truth: Truth) -> Floats:
    """Of each row, the share of wrong labels among those that are said."""
    return np.asarray((said & (truth == 0)).sum(1) / np.maximum(said.sum(1), 1), np.float64)


@pytest.mark.parametrize("error", [0.05, 0.1, 0.2])
def test_what_is_left_out_is_what_mapie_leaves_out(error: float) -> None:
    known, truth = drawn(60)
    known, truth = known[truth.any(1)], truth[truth.any(1)]
    cuts = np.unique(np.append(known - 1e-9, 0.0))  # mapie tries these alone; it keeps what lies above
    reference = MultiLabelClassificationController(
        lambda proba: proba, risk="recall", method="crc", target_level=1 - error, predict_params=cuts
    )
    asked = drawn(300, seed=1)[0]
    wanted = reference.calibrate(known, truth).predict(asked)[:, :, 0]
    said, unsure = LabelPromise.of(known, truth, error, per_class=False).parted(asked)
    assert not (said & ~wanted).any()
    assert ((said | unsure) == wanted).mean() > 0.999  # limits are rounded to six digits
    assert 0 < wanted.mean() < 0.9


@pytest.mark.parametrize("error", [0.05, 0.15, 0.3])
def test_what_is_said_follows_the_formula(error: float) -> None:
    known, truth = drawn(80, seed=3)

    limits = np.unique(known)
    shares = np.stack([wrong(known > one, truth) for one in limits])
    largest = np.maximum.accumulate(shares[::-1])[::-1]  # of a row, at this limit or any higher one
    kept = limits[(largest.sum(1) + 1) / (80 + 1) <= error]
    assert LabelPromise.of(known, truth, error, per_class=False).wrong.limit(error) == pytest.approx(kept[0], abs=1e-6)


@pytest.mark.parametrize("error", [0.05, 0.1])
@pytest.mark.parametrize("sharp", [1.0, 3.0])
def test_over_many_draws_both_rates_are_kept(error: float, sharp: float) -> None:
    missing, false = [], []
    for seed in range(200):
        (known, truth), (asked, wanted) = (drawn(150, 2 * seed + at, sharp=sharp) for at in (0, 1))
        said, unsure = LabelPromise.of(known, truth, error, per_class=False).parted(asked)
        missing.append(left_out(said, unsure, wanted).mean())
        false.append(wrong(said, wanted).mean())
    margins = [3 * float(np.std(rates)) / math.sqrt(len(rates)) for rates in (missing, false)]
    assert np.mean(missing) < error + margins[0]
    assert np.mean(false) < error + margins[1]
    assert np.mean(missing) > error - 0.02 - margins[0]  # and no more is left open than the rate asks for


def test_each_label_keeps_a_rate_of_its_own() -> None:
    def of_the_hard_one(per_class: bool) -> float:
        found = []
        for seed in range(60):
            parts = []
            for at in (0, 1):
                proba, truth = drawn(500, 2 * seed + at)
                hidden = np.random.default_rng(seed).random(500) < 0.5
                proba[:, 0] = np.where(hidden & (truth[:, 0] > 0), proba[:, 0] / 20, proba[:, 0])
                parts.append((proba, truth))
            (known, truth), (asked, wanted) = parts
            said, unsure = LabelPromise.of(known, truth, 0.1, per_class=per_class).parted(asked)
            found.append((~(said | unsure))[wanted[:, 0] > 0, 0].mean())
        return float(np.mean(found))

    assert of_the_hard_one(per_class=False) > 0.15
    assert 0.07 < of_the_hard_one(per_class=True) < 0.11


def test_too_few_rows_decide_nothing() -> None:
    proba, truth = drawn(18)
    promise = LabelPromise.of(proba, truth, 0.05, per_class=False)
    said, unsure = promise.parted(proba)
    assert not said.any()
    assert unsure.all()
    assert promise.left_out[0].rows == truth.any(1).sum() < 18
    alone = LabelPromise.of(proba, np.where(np.arange(6) == 2, 0, truth), 0.4, per_class=True)
    assert alone.left_out[2].limit(0.4) == math.inf
    said, unsure = alone.parted(proba)
    assert (said | unsure)[:, 2].all()


def test_of_many_limits_few_are_kept_and_both_promises_stay() -> None:
    known, truth = drawn(3000)
    one, every = (LabelPromise.of(known, truth, error, per_class=False) for error in (0.05, 0.0123))
    for kept in (*one.left_out, one.wrong):
        assert len(kept.values) <= KEPT
    assert one.at(0.0123).wrong.limit(0.0123) >= every.wrong.limit(0.0123)
    assert one.left_out[0].limit(0.0123) >= every.left_out[0].limit(0.0123)


def test_weights_of_one_are_the_plain_ranks() -> None:
    scores = np.random.default_rng(0).random(50)
    assert Scores.weighed(scores, np.ones(50), 50) == Scores.of(scores)
    assert Scores.of(scores).ranks == tuple(range(1, 51))
    shared = Scores.weighed(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.5, 0.5, 0.5, 0.5]), 2)
    assert shared.ranks == (0.5, 1, 1.5, 2)
    assert shared.limit(0.5) == 0.3  # 0.5 lost of 2 rows: (0.5 + 1) / 3 is 0.5


def test_it_survives_the_manifest_and_takes_another_rate() -> None:
    promise = LabelPromise.of(*drawn(200), 0.05, per_class=True)
    assert LabelPromise.load(json.loads(json.dumps(promise.spec()))) == promise
    assert promise.at(0.2).wrong == promise.wrong
    with pytest.raises(TunewrightError, match=r"error = 0\.7: this is no rate from 0 to 0\.5 → say for example 0\.05"):
        promise.at(0.7)


KIND = Multilabel(("a", "b", "c"), (0.3, 0.3, 0.3))
ONE = np.log(np.array([[0.9, 0.4, 0.1], [0.95, 0.85, 0.05], [0.1, 0.1, 0.1]]))
ASKED = ONE - np.log1p(-np.exp(ONE))
"""Log-odds of these probabilities."""


def limited(lowest: float, cut: float, error: float = 0.1) -> Multilabel:
    """Labels below the one are left out, labels above the other are said."""
    scores = [Scores(99, tuple(range(1, 100)), (value,) * 99) for value in (1 - lowest, cut)]
    return Multilabel(KIND.labels, KIND.thresholds, promise=LabelPromise((scores[0],), scores[1], error))


def test_an_answer_has_the_sure_labels_and_lists_those_that_stay_open() -> None:
    kind = limited(0.2, 0.8)
    first, second, none = kind.decode(ASKED)
    assert (first.labels, first.reason) == (["a"], "unsure")
    assert first.candidates == [Candidate("b", pytest.approx(0.4))]
    assert second == Labels(["a", "b"], [pytest.approx(0.95), pytest.approx(0.85)])
    assert none == Labels([], [])
    assert [one.label for one in kind.decode(ASKED, 2)[1].candidates or ()] == ["a", "b"]
    assert kind.decide(ASKED)[0].tolist() == [1, 1, 0]  # what metrics are measured on
    columns = kind.columns([first, second, none])
    assert columns["prediction"] == ["a", "a|b", ""]
    assert columns["reason"] == ["unsure", "", ""]
    assert [one["label"] for one in json.loads(columns["candidates"][0])] == ["b"]
    assert columns["candidates"][1:] == ["[]", "[]"]


def test_where_both_rates_leave_room_one_cut_decides() -> None:
    assert [one.labels for one in limited(0.7, 0.2).decode(ASKED)] == [["a"], ["a", "b"], []]  # at 0.5
    assert [one.labels for one in limited(0.3, 0.05).decode(ASKED)] == [["a", "b"], ["a", "b"], []]  # at 0.3
    assert [one.labels for one in limited(0.95, 0.87).decode(ASKED)] == [["a"], ["a"], []]  # at 0.87
    assert {one.reason for kind in (limited(0.7, 0.2), limited(0.3, 0.05)) for one in kind.decode(ASKED)} == {None}


def test_with_a_rate_of_0_the_thresholds_decide() -> None:
    kind = limited(0.2, 0.8).at_error(0)
    assert kind.decode(ASKED, 2) == KIND.decode(ASKED, 2)
    assert not kind.refuses
    assert "reason" not in kind.columns(kind.decode(ASKED))
    assert kind.at_error(0.1).decode(ASKED)[0].reason == "unsure"
    assert Multilabel.load(json.loads(json.dumps(kind.spec()))) == kind
    assert "promise" not in KIND.spec()


def test_without_kept_scores_no_rate_can_be_promised() -> None:
    with pytest.raises(TunewrightError, match="keeps no scores that a rate of errors rests on → leave `error` out"):
        KIND.at_error(0.05)
