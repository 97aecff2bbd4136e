"""Layer-wise step sizes: the share of each parameter, and steps that are that much smaller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tunewright.core.errors import TunewrightError
from tunewright.core.task import read_task
from tunewright.train.course import Model, decayed
from tunewright.train.depth import by_depth, depths
from tunewright.train.loop import descend

Make = Callable[..., Any]


def model_of(context: Any) -> Model:
    return Model(context.copy_of_encoder(), context.new_head())


def test_shares_fall_from_the_head_to_the_embeddings(make_context: Make) -> None:
    model = model_of(make_context())
    groups = by_depth(0.5)(model, 0.1)
    shares = {id(one): group["share"] for group in groups for one in group["params"]}
    decays = {id(one): group["weight_decay"] for group in groups for one in group["params"]}
    named = dict(model.named_parameters())
    assert len(shares) == len(named)
    expected = {
        "head.pooled.linear.weight": 1.0,
        "encoder.layers.1.norm.bias": 0.5,
        "encoder.layers.0.qkv.weight": 0.25,
        "encoder.norm.weight": 0.125,
        "encoder.words.table.weight": 0.125,
        "encoder.positions.weight": 0.125,
    }
    assert {name: shares[id(named[name])] for name in expected} == expected
    for name, one in named.items():
        assert decays[id(one)] == (0.1 if one.ndim >= 2 else 0.0), name


def test_what_is_frozen_is_in_no_group(make_context: Make) -> None:
    model = model_of(make_context())
    model.encoder.requires_grad_(False)
    assert [len(group["params"]) for group in by_depth(0.5)(model, 0.1)] == [1, 1]


def test_an_encoder_without_layers_lies_one_below_the_head() -> None:
    assert depths(["encoder.mix.weight", "head.linear.weight"]) == {"encoder.mix.weight": 1, "head.linear.weight": 0}


def test_adamw_moves_each_layer_by_its_share(make_context: Make) -> None:
    """The first step of Adam has the size of the rate, whatever the gradient."""
    own = {"fit.epochs": 1, "fit.batch_rows": 80, "fit.average": 0.0, "fit.weight_decay": 0.0, "fit.warmup": 0.0}
    context = make_context("classify", own | {"fit.learning_rate": 1e-3, "fit.layer_decay": 0.1})
    model = model_of(context)
    before = {name: one.detach().clone() for name, one in model.named_parameters()}
    course = context.course("full", model)
    after: dict[str, torch.Tensor] = {}

    def judge(trained: Any) -> tuple[float, Any]:
        after.update({name: one.detach().clone() for name, one in trained.named_parameters()})
        return float(bool(after)), None

    object.__setattr__(course, "judge", judge)
    descend(course, model)
    shares = {"head.pooled.linear.weight": 1.0, "encoder.layers.1.up.weight": 0.1, "encoder.words.table.weight": 1e-3}
    for name, share in shares.items():
        step = (after[name] - before[name]).abs().max().item()
        assert step == pytest.approx(share * 1e-3 / 2, rel=0.05), "the rate of the only step is half the peak"


def test_without_decay_the_groups_are_those_of_the_loop(make_context: Make) -> None:
    context = make_context()
    assert context.course("full", model_of(context)).groups is decayed


@pytest.mark.parametrize("value", [0, 1.5, -1])
def test_a_decay_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(TunewrightError, match=r"fit\.layer_decay = "):
        read_task(None, {"fit.layer_decay": value})
