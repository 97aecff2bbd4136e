"""BitFit: biases alone, as many as there are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tunewright.core.errors import TunewrightError
from tunewright.methods import bitfit
from tunewright.train.hand_over import to_hf

Make = Callable[..., Any]
SETTINGS = {"fit.epochs": 1, "fit.learning_rate": 2e-2, "fit.batch_rows": 16, "fit.average": 0.0}


def test_every_bias_moves_and_nothing_else(make_context: Make, last_is_best: None) -> None:
    context = make_context("classify", SETTINGS)
    fitted = bitfit.fit(context)
    before = context.backbone.encoder.state_dict()
    moved = {name for name, value in fitted.encoder.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {name for name in before if name.endswith(".bias")}
    shared = {
        name for name, value in fitted.encoder.state_dict().items() if value.data_ptr() == before[name].data_ptr()
    }
    assert shared == set(before) - moved, "what is frozen is not copied"


def test_the_count_is_that_of_the_paper(make_context: Make) -> None:
    """Query, key, value, both outputs and both norms have d biases in each layer, the inner layer 4 d in BERT."""
    context = make_context("classify", SETTINGS)
    shape = context.backbone.encoder.shape
    fitted = bitfit.fit(context)
    assert fitted.facts["encoder_parameters"] == shape.layers * (7 * shape.width + shape.inner) + shape.width
    assert fitted.facts["head_parameters"] == 4 * shape.width + 4


def test_an_encoder_without_biases_is_refused(make_context: Make) -> None:
    context = make_context()
    context.backbone.encoder.__class__ = torch.nn.Module
    context.backbone.encoder._modules = {"words": context.backbone.encoder.words}
    problem = r"method 'bitfit' does not fit this encoder \(Module\): it has no biases → use --method full"
    with pytest.raises(TunewrightError, match=problem):
        bitfit.fit(context)


def test_the_bundle_says_what_was_trained_and_hands_over_to_transformers(ship: Make, tmp_path: Path) -> None:
    from transformers import BertModel

    BertModel.from_pretrained(to_hf(ship("bitfit"), tmp_path / "hf"))
