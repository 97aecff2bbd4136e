"""Rows longer than the window: every method reads them to their end, in training and once shipped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tunewright.core import plugins
from tunewright.train.examples import Part
from tunewright.train.outputs import frozen

Make = Callable[..., Any]
SETTINGS = {"fit.max_tokens": 16, "fit.epochs": 1, "fit.batch_rows": 16, "fit.layers": 1, "fit.size": 2}


@pytest.mark.parametrize("method", plugins.names("methods"))
def test_a_row_is_the_mean_of_its_windows_and_its_end_counts(method: str, make_context: Make) -> None:
    context = make_context("classify", SETTINGS)
    fitted = plugins.load("methods", method).fit(long(context))
    modality = (fitted.backbone or context.backbone).modality

    def logits(texts: list[str]) -> Any:
        windows = modality.windows([texts])
        pieces = frozen(fitted.encoder, fitted.head, modality, windows, context.device)
        return context.kind.gather(pieces, windows)

    rows = list(context.parts["validation"].inputs["text"])
    np.testing.assert_allclose(logits(rows), fitted.validation_logits, atol=1e-4)
    one, other = logits([f"{rows[0]} where is my parcel?", f"{rows[0]} please cancel the order"])
    assert np.abs(one - other).max() > 1e-6, "words beyond the first window change what is said"


def long(context: Any) -> Any:
    """The context with every text said four times over."""
    for name, part in context.parts.items():
        texts = [" ".join([text] * 4) for text in part.inputs["text"]]
        context.parts[name] = Part({"text": texts}, part.truth)
    assert len(context.train.windows) > 2 * context.train.windows.rows
    assert max(context.train.windows.cost) == 16
    return context
