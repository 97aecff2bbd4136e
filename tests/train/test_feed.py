"""The pieces of a step: long windows in smaller ones, unless an objective learns from which rows stand together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tunewright.core.types import Ragged, Windows
from tunewright.train.course import Model
from tunewright.train.feed import BROAD, STEP_BUDGET, Feed

Make = Callable[..., Any]


def feed(cost: list[int], *, apart: bool) -> Feed:
    windows = Windows(len(cost), np.arange(len(cost)), np.array(cost), {"input_ids": Ragged.of([[0]] * len(cost))})
    return Feed(windows, np.zeros(len(cost)), lambda windows, index: {}, apart=apart)


@pytest.mark.parametrize(
    ("length", "together", "apart"), [(8, 256, 256), (BROAD, 16, 16), (256, 8, 4), (384, 5, 1), (512, 4, 1)]
)
def test_of_long_windows_fewer_are_computed_at_once(length: int, together: int, apart: int) -> None:
    index = np.arange(300)
    for wanted, one in ((together, feed([length] * 300, apart=False)), (apart, feed([length] * 300, apart=True))):
        pieces = list(one.pieces(index, STEP_BUDGET))
        assert max(len(rows) for rows, _ in pieces) == wanted
        assert sorted(row for rows, _ in pieces for row in rows.tolist()) == index.tolist()
        assert sum(weights.sum() for _, weights in pieces) == pytest.approx(1)


def test_no_piece_has_more_attention_than_the_budget_of_windows_that_are_not_long() -> None:
    cost = np.random.default_rng(0).integers(1, 513, 400)
    for rows, _ in feed(cost.tolist(), apart=True).pieces(np.arange(400), STEP_BUDGET):
        longest = int(cost[rows].max())
        assert len(rows) * longest <= STEP_BUDGET
        assert len(rows) == 1 or len(rows) * longest**2 <= STEP_BUDGET * (BROAD + 1)


@pytest.mark.parametrize(("objectives", "apart"), [({}, True), ({"supcon": 0.1}, False), ({"mixup": 0.2}, False)])
def test_rows_that_are_paired_stay_together(objectives: dict[str, float], apart: bool, make_context: Make) -> None:
    settings = {f"objectives.{name}": strength for name, strength in objectives.items()}
    context = make_context("classify", settings | {"objectives.fgm": 0.0})
    course = context.course("full", Model(context.copy_of_encoder(), context.new_head()))
    assert course.feed.apart == apart
