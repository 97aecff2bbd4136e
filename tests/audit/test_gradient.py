"""The attack by gradients: counts against their definition, what is said where it cannot run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tunewright.audit import Context, audit
from tunewright.audit.gradient import LENGTHS, NO_GRADIENTS
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Finding
from tunewright.kinds.classify import Classify

N = 120


def context(truth: Any = None) -> Context:
    """Row i is answered 0, and with 1 from a shift of i / 1000 on."""
    texts = [str(at) for at in range(N)]

    def shift(columns: Any, decided: Any, lengths: Any) -> Any:
        at = np.array([int(text) for text in columns["text"]])
        return np.stack([np.where(length * 1000 > at, 1 - decided, decided) for length in lengths])

    logits = np.tile([1.0, 0.0], (N, 1))
    return Context(Classify(("a", "b")), logits, truth, {"text": texts}, shift=shift)


def of(context: Context) -> dict[str, Finding]:
    return {one.metric: one for one in audit(context, only=["gradient"])}


def test_rows_that_fall_are_counted_by_length() -> None:
    found = of(context())
    values = [found[f"fallen_{name}"].value for name in LENGTHS]
    assert all(value is not None for value in values)
    assert values == sorted(values, key=lambda one: one or 0.0)
    assert found["fallen_2"].value == pytest.approx(20 / N, abs=0.06)
    assert found["fallen_10"].n == 100
    assert found["fallen_2"].exhibits[0].columns == ("shift", "rows", "share")


def test_only_rows_that_are_answered_rightly_are_attacked() -> None:
    truth = np.where(np.arange(N) < 40, 0, 1)
    found = of(context(truth))
    assert found["fallen_5"].n == 40
    assert found["fallen_5"].value == 1.0
    assert found["fallen_2"].value == 0.5
    assert found["fallen_2"].note == "only 40 rows are attacked"
    few = of(context(np.where(np.arange(N) < 5, 0, 1)))
    assert few["fallen_2"].note == "not run, because only 5 rows are answered rightly"


def test_models_without_gradients_are_told() -> None:
    def none(columns: Any, decided: Any, lengths: Any) -> Any:
        raise TunewrightError("the bundle has no weights", "use another")

    assert of(replace(context(), shift=none))["fallen_5"].note == NO_GRADIENTS
    assert of(replace(context(), shift=None))["fallen_5"].note == "not run, because the model is no bundle at hand"
