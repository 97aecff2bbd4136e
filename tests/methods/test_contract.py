"""What every method promises, for each kind; a new file in the folder is tested by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tunewright.core import plugins
from tunewright.core.errors import TunewrightError
from tunewright.train import ladder
from tunewright.train.outputs import frozen
from tunewright.train.updates import merged, tensors

KINDS = ("classify", "multilabel", "regress")
SETTINGS = {"fit.epochs": 1, "fit.learning_rate": 1e-3, "fit.batch_rows": 16}
Make = Callable[..., Any]


@pytest.mark.parametrize("few", [0, 100])
@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_the_ladder_climbs_over_methods_that_exist(few: int, seconds: float, make_context: Make) -> None:
    context = make_context()
    context.start, context.pass_seconds = context, seconds
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ladder, "FEW_ROWS", few)
        rungs = list(ladder._rungs(context))
    assert set(rungs) <= set(plugins.names("methods"))
    assert ("contrastive" in rungs, rungs[-1]) == (few > 0, "top" if seconds else "full")


@pytest.mark.parametrize("name", plugins.names("methods"))
@pytest.mark.parametrize("kind", KINDS)
def test_it_gives_a_model_whose_logits_are_those_it_tells(name: str, kind: str, make_context: Make) -> None:
    fits = getattr(plugins.load("methods", name), "KINDS", None)
    context = make_context(kind, SETTINGS)
    if fits is not None and kind not in fits:
        with pytest.raises(TunewrightError, match=f"method '{name}' does not fit kind '{kind}' → use"):
            plugins.load("methods", name).fit(context)
        return
    before = {key: value.clone() for key, value in context.backbone.encoder.state_dict().items()}
    fitted = plugins.load("methods", name).fit(context)
    assert fitted.method == name
    assert fitted.facts["trainable_parameters"] > 0
    assert fitted.validation_logits.shape == (40, context.kind.size)
    modality = (fitted.backbone or context.backbone).modality
    windows = context.examples("validation", modality).windows
    again = context.kind.gather(frozen(fitted.encoder, fitted.head, modality, windows, context.device), windows)
    np.testing.assert_allclose(fitted.validation_logits, again, atol=1e-4)
    for key, value in context.backbone.encoder.state_dict().items():
        assert torch.equal(value, before[key]), f"{name} changed the backbone itself at {key}"
    if fitted.backbone is None:
        names = set(fitted.encoder.state_dict())
        assert names >= set(before), "the encoder ships with every tensor of the backbone"
        assert len(names - set(before)) == fitted.facts.get("added_tensors", 0), "what it ships beyond them is told"
    if fitted.updates:
        shipped = fitted.encoder.state_dict()
        for key, value in merged(before, tensors(fitted.updates)).items():
            torch.testing.assert_close(
                value, shipped[key], msg=f"{name}: the backbone with its updates differs at {key}"
            )


@pytest.mark.parametrize("name", plugins.names("methods"))
def test_the_same_seed_gives_the_same_bits(name: str, make_context: Make) -> None:
    if getattr(plugins.load("methods", name), "SECRET", False):
        pytest.skip("no seed repeats its draws")
    one, other = (plugins.load("methods", name).fit(make_context("classify", SETTINGS)) for _ in range(2))
    for part in ("encoder", "head"):
        states = getattr(one, part).state_dict(), getattr(other, part).state_dict()
        assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())


@pytest.mark.parametrize("name", plugins.names("methods"))
def test_what_is_fitted_again_keeps_the_judgement_from_before(name: str, make_context: Make) -> None:
    fitted = plugins.load("methods", name).fit(make_context("classify", SETTINGS))
    if fitted.refit is None:
        pytest.skip("not fitted again")
    again = fitted.refit()
    np.testing.assert_array_equal(again.validation_logits, fitted.validation_logits)
    states = again.head.state_dict(), fitted.head.state_dict()
    assert not all(torch.equal(value, states[1][key]) for key, value in states[0].items())
