"""Shifts of embeddings: against the answer, as long as they are said to be, nothing without a shift."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import tunewright
from tunewright import samples
from tunewright.pipeline import audit
from tunewright.train import gradients, shifts
from tunewright.train.rebuild import rebuild

TEXTS = ["where is my order?", "please cancel it", "my card was stolen", "when will it come"] * 3


def test_answers_fall_with_the_length_and_stay_without_one(tiny_bundle: Path) -> None:
    predictor = tunewright.load(tiny_bundle)
    (target,) = predictor.kinds
    decided = predictor.kinds[target].decide(predictor.logits(TEXTS)[target])
    (column,) = predictor.manifest.inputs
    found = shifts.shifter(tiny_bundle, target)({column: TEXTS}, decided, (0.0, 0.05, 1.0))
    assert found.shape == (3, len(TEXTS))
    assert found[0].tolist() == decided.tolist()
    changed = (found != decided).sum(1)
    assert changed[0] <= changed[1] <= changed[2]
    assert changed[2] > 0


def test_the_step_lowers_the_log_odds_of_the_answer(tiny_bundle: Path) -> None:
    network = rebuild(tiny_bundle)
    (target,) = network.kinds
    row = gradients.read(network, [TEXTS[0]])
    vectors = gradients.embedded(network, row.ids)
    slope = shifts._slope(network, target, row, vectors, 0)
    assert float(slope.norm()) == pytest.approx(1, abs=1e-5)
    assert not slope[~torch.from_numpy(row.own)].any()
    with torch.no_grad():
        both = torch.stack([vectors, vectors - 0.01 * vectors.norm() * slope])
        before, after = gradients.scores(network, target, row, both)[:, 0].tolist()
    assert after < before


def test_the_verb_measures_a_bundle(tiny_bundle: Path) -> None:
    found = audit(tiny_bundle, samples.path("support_test.csv"), only=["gradient"]).findings
    values = [one.value for one in found]
    assert [one.metric for one in found] == ["fallen_2", "fallen_5", "fallen_10"]
    assert all(value is not None and 0 <= value <= 1 for value in values)
