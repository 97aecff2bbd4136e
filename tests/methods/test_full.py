"""Full fine-tuning: where its head starts, and that it learns more than the probe where there is more to learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from tunewright.methods import full, probe

Make = Callable[..., Any]
SETTINGS = {"fit.epochs": 12, "fit.learning_rate": 5e-3, "fit.batch_rows": 16, "fit.average": 0.0, "fit.patience": 12}


def test_it_begins_where_the_probe_ended(make_context: Make) -> None:
    context = make_context("classify", {"fit.epochs": 1, "fit.learning_rate": 1e-12, "fit.average": 0.0})
    start = context.start = probe.fit(context)
    fitted = full.fit(context)
    np.testing.assert_allclose(fitted.validation_logits, start.validation_logits, atol=1e-4)
    torch.testing.assert_close(fitted.head.state_dict(), start.head.state_dict())


def test_it_learns_more_than_the_probe(make_context: Make) -> None:
    context = make_context("classify", SETTINGS)
    fitted = full.fit(context)
    scores = fitted.facts["scores"]
    assert max(scores) > scores[0] + 0.05
    assert context.kind.row_score(fitted.validation_logits, context.validation.truth).mean() == np.float64(max(scores))


def test_every_parameter_moves_but_the_tokens_that_do_not_occur(make_context: Make) -> None:
    context = make_context("classify", SETTINGS)
    fitted = full.fit(context)
    before = context.backbone.encoder.state_dict()
    still = [name for name, value in fitted.encoder.state_dict().items() if torch.equal(value, before[name])]
    assert still == []
    words = fitted.encoder.state_dict()["words.weight"]
    same = (words == before["words.weight"]).all(1).numpy()
    learnt, judged = (np.unique(part.windows.data["input_ids"].values) for part in (context.train, context.validation))
    assert not same[learnt].any()
    assert same[np.setdiff1d(np.arange(len(words)), [*learnt, *judged, context.backbone.modality.pad_id])].all()
