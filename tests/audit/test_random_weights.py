"""Explanations of networks with random weights: what knows the model differs from them, what ignores it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tunewright
from tunewright.audit import Context
from tunewright.audit import _random_weights as random_weights
from tunewright.audit._explainers import PIECES
from tunewright.audit._random_weights import CHECKED, FAILED, PASSED, Told, against_random, likeness, networks
from tunewright.runtime.explain import explain
from tunewright.runtime.explainer import Explainer, Weighed


def by_length(model: Any, one: Any, target: str, explained: Any, seed: int) -> Weighed:
    """Longer words weigh more, whatever the model says."""
    weights = np.array([[float(len(piece.text))] for piece in one.pieces])
    return Weighed(np.repeat(weights, len(explained), 1), np.zeros(len(explained)), 0)


LENGTH = Explainer("length", float, by_length)


@pytest.fixture(scope="module")
def context(tiny_bundle: Path, sample_rows: Any) -> Context:
    predictor = tunewright.load(tiny_bundle)
    texts = [row["text"] for row in sample_rows["support_test.csv"]][:20]
    (target,) = predictor.kinds
    return Context(
        predictor.kind, predictor.logits({"text": texts})[target], inputs={"text": texts}, predictor=predictor
    )


def told(context: Context, way: str | Explainer) -> Told:
    explanations = explain(context.predictor, context.inputs, way, most=PIECES)
    return Told(way, context.inputs, explanations)


def test_what_ignores_the_model_is_found_out(context: Context) -> None:
    (target,) = context.predictor.kinds
    measured = {"occlusion": told(context, "occlusion"), "length": told(context, LENGTH)}
    found, (table,) = against_random(context, target, measured)
    assert (found["length"].value, found["length"].note) == (pytest.approx(1.0), FAILED)
    value = found["occlusion"].value
    assert value is not None
    assert value < 0.6
    assert found["occlusion"].n == CHECKED
    assert [row[0] for row in table.rows] == ["occlusion", "length"]
    assert table.rows[1][1:] == (pytest.approx(1.0), pytest.approx(1.0), CHECKED)


def test_a_model_that_did_not_learn_is_like_itself(context: Context) -> None:
    """The same network on both sides: every correlation is 1."""
    same = [random_weights.Network(context.predictor, None)]
    assert likeness(told(context, "occlusion"), same, 0) == pytest.approx(1.0)


def test_the_networks_differ_and_the_texts_take_them_in_turn(context: Context) -> None:
    (target,) = context.predictor.kinds
    one, two = networks(context, target)
    texts = [context.inputs["text"][:3]]
    said = [next(iter(each.model.logits_of(texts).values())) for each in (one, two)]
    assert np.abs(said[0] - said[1]).max() > 1e-3
    assert one.gradients is None, "the context has none"


def test_it_passes_where_the_interval_lies_below_the_limit(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    (target,) = context.predictor.kinds

    def of(size: float) -> str:
        monkeypatch.setattr(random_weights, "likeness", lambda *given: np.full((CHECKED, 2), size))
        found, _ = against_random(context, target, {"lime": Told("lime", context.inputs, [])})
        return found["lime"].note

    assert (of(0.1), of(0.9)) == (PASSED, FAILED)
