"""A model that is asked for each text once: the same answers, in the same order, from fewer texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tunewright.audit import Context, audit
from tunewright.audit._remembered import Remembered
from tunewright.kinds.classify import Classify


class Counting:
    """What it wraps, and every row that it was asked for."""

    def __init__(self, model: Any) -> None:
        self.model, self.manifest, self.kinds, self.asked = model, model.manifest, model.kinds, list[tuple[Any, ...]]()

    def logits_of(self, columns: Sequence[Sequence[Any]], targets: Sequence[str] | None = None) -> Any:
        self.asked += zip(*columns, strict=True)
        return self.model.logits_of(columns, targets)


@pytest.fixture
def model(planted: Any) -> Counting:
    words = {"stolen": (0.0, 4.0), "refund": (4.0, 0.0)}
    return Counting(planted({"label": Classify(("money", "theft"))}, {"label": words}))


def test_answers_stand_in_the_order_of_the_rows_and_each_text_is_computed_once(model: Counting) -> None:
    texts = ["a refund", "stolen card", "a refund", "so it is"]
    wanted = model.model.logits_of([texts])["label"]
    remembered = Remembered(model, "label")
    assert np.array_equal(remembered.logits_of([texts], ["label"])["label"], wanted)
    assert np.array_equal(remembered.logits_of([texts[::-1]])["label"], wanted[::-1])
    assert sorted(model.asked) == sorted({(text,) for text in texts})


def test_the_audit_of_explanations_asks_for_no_text_twice(model: Counting) -> None:
    texts = [f"my card was {word} on day {at}" for at in range(6) for word in ("stolen", "refund")]
    logits = model.model.logits_of([texts])["label"]
    context = Context(model.kinds["label"], logits, inputs={"text": texts}, predictor=model)
    assert audit(context, ["explanations"])[0].value is not None
    assert len(model.asked) == len(set(model.asked)) > 500
