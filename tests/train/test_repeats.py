"""Oversampling: how often the rows of a class come, and an epoch that holds them so often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tunewright.train.course import Model
from tunewright.train.loop import descend
from tunewright.train.repeats import repeats

TRUTH = np.random.default_rng(0).permutation(np.repeat([0, 1, 2, 3], [50, 7, 1, 20]))
Make = Callable[..., Any]


def test_with_1_every_class_comes_as_often_as_the_largest() -> None:
    found = repeats(TRUTH, 5, 1.0, seed=0)
    assert np.bincount(TRUTH, weights=found).tolist() == [50, 50, 50, 50]
    for label in range(4):
        assert np.ptp(found[label == TRUTH]) <= 1, "the rows of a class come about equally often"


@pytest.mark.parametrize("power", [0.25, 0.5, 0.9])
def test_in_between_it_is_a_power(power: float) -> None:
    found = repeats(TRUTH, 4, power, seed=0)
    counts = np.array([50, 7, 1, 20])
    wanted = counts * (50 / counts) ** power
    np.testing.assert_allclose(np.bincount(TRUTH, weights=found), wanted, atol=1)
    assert found.min() == 1


def test_with_0_every_row_comes_once() -> None:
    assert repeats(TRUTH, 4, 0.0, seed=0).tolist() == [1] * 78


def test_the_seed_chooses_the_rows_that_come_once_more() -> None:
    one, same, other = (repeats(TRUTH, 4, 1.0, seed) for seed in (0, 0, 1))
    assert (one == same).all()
    assert (one != other).any()
    assert one.sum() == other.sum()


def test_a_row_with_several_labels_comes_as_often_as_its_rarest_one_asks() -> None:
    truth = np.zeros((40, 3), np.uint8)
    truth[:36, 0] = 1
    truth[30:39, 1] = 1
    found = repeats(truth, 3, 1.0, seed=0)
    assert found[:30].tolist() == [1] * 30
    assert found[30:39].tolist() == [4] * 9
    assert found[39] == 1, "a row without labels"


def test_an_epoch_holds_every_row_so_often(make_context: Make) -> None:
    context = make_context("classify", {"fit.oversample": 1.0, "fit.patience": 9})
    rare = np.array([context.train.truth == 0]).ravel()
    keep = ~rare | (np.cumsum(rare) <= 6)
    part = context.parts["train"]
    shorter = type(part)(
        {"text": [one for one, kept in zip(part.inputs["text"], keep, strict=True) if kept]},
        [one for one, kept in zip(part.truth, keep, strict=True) if kept],
    )
    del context.__dict__["train"]
    context.parts = {**context.parts, "train": shorter}
    model = Model(context.copy_of_encoder(), context.new_head())
    feed = context.course("full", model).feed
    assert len(shorter.truth) == 66
    assert len(feed) == 80
    draws = np.random.default_rng(0)
    one, other = (np.concatenate(feed.epoch(16, draws)) for _ in range(2))
    assert np.bincount(context.train.truth[one]).tolist() == [20] * 4
    assert (np.sort(one) == np.sort(other)).all()
    assert (one != other).any()
    _, facts = descend(context.course("full", model), model)
    assert facts["steps"] == 3 * 2
