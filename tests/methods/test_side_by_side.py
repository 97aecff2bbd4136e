"""Closed forms of several targets: each as if it were fitted alone on the rows that have its truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tunewright.core.errors import TunewrightError
from tunewright.methods import _strength, contrastive, full, lexical, probe
from tunewright.methods._side_by_side import SideBySide, solver_of
from tunewright.train.learn import learn

Make = Callable[..., Any]


def test_each_target_is_fitted_as_it_would_be_alone(make_context: Make) -> None:
    context = make_context("several")
    fitted = probe.fit(context)
    features, truth = context.train_embeddings, context.train.truth
    assert np.isnan(truth).any(0).all()
    at = 0
    for slot in context.kind.slots:
        known = ~np.isnan(truth[:, slot.truth.start])
        own, kind = slot.own(truth[known]), slot.single.kind
        solver = probe.SOLVERS[kind.closed_form]
        strength, scores, _ = _strength.choose_strength(features[known], own, kind, solver, context.task.seed)
        assert fitted.facts["strength"][slot.single.name] == strength
        assert fitted.facts["cross_validation"][slot.single.name] == scores
        wanted = _strength.linear(context.validation_embeddings, solver(features[known], own, kind.size, strength))
        found = fitted.validation_logits[:, at : at + kind.size]
        np.testing.assert_array_equal(found, wanted)
        at += kind.size
    assert at == context.kind.size


@pytest.mark.parametrize("method", ["lexical", "probe", "full", "top", "lora", "bitfit"])
def test_methods_learn_several_targets_at_once(method: str, make_context: Make) -> None:
    context = make_context("several", {"fit.epochs": 2, "fit.method": method})
    fitted, rungs = learn(context)
    assert fitted.method == method
    assert fitted.validation_logits.shape == (len(context.validation), context.kind.size)
    assert np.isfinite(fitted.validation_logits).all()
    assert [rung.method for rung in rungs][-1] == method


def test_words_are_counted_for_all_targets_once(make_context: Make) -> None:
    context = make_context("several", intents=8)
    fitted = lexical.fit(context)
    intent, length = (slot.logits for slot in context.kind.slots)
    truth = context.kind.encode(context.parts["validation"].truth)
    known = context.kind.slots[0].known(truth)
    hits = fitted.validation_logits[known][:, intent].argmax(1) == truth[known, 0]
    assert hits.mean() > 2 / 8
    answered = context.kind.decide(fitted.validation_logits)[:, 1]
    known = context.kind.slots[1].known(truth)
    assert np.corrcoef(answered[known], truth[known, 1])[0, 1] > 0.3
    assert fitted.encoder.table.shape[1] == length.stop


def test_auto_leaves_out_what_takes_one_class(make_context: Make) -> None:
    context = make_context("several", {"fit.method": "auto", "fit.epochs": 1})
    _, rungs = learn(context)
    assert [rung.method for rung in rungs][:4] == ["lexical", "probe", "blend", "full"]
    with pytest.raises(TunewrightError, match="method 'contrastive' does not fit several targets"):
        contrastive.fit(context)


def test_adversarial_steps_take_several_targets(make_context: Make) -> None:
    context = make_context("several", {"fit.epochs": 1, "objectives.fgm": 0.3})
    assert np.isfinite(full.fit(context).validation_logits).all()


def test_a_kind_without_closed_form_takes_it_from_all(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    context = make_context("several")
    assert isinstance(solver_of(context.kind, probe.SOLVERS), SideBySide)
    monkeypatch.setattr(type(context.kind.singles[1].kind), "closed_form", None)
    assert solver_of(context.kind, probe.SOLVERS) is None
