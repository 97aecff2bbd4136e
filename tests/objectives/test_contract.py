"""What every objective promises; a new file in the folder is tested by itself."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from tunewright.core import plugins
from tunewright.objectives._wrapped import check
from tunewright.train.checkpoint import Checkpoints
from tunewright.train.course import Model
from tunewright.train.loop import descend
from tunewright.train.step import plain

NAMES = plugins.names("objectives")
KINDS = ("classify", "multilabel", "regress")
LEARNING = {"fit.epochs": 1, "fit.learning_rate": 1e-3, "fit.batch_rows": 16, "fit.average": 0.0}
INTENTS = 2
Make = Callable[..., Any]


def fits(name: str) -> tuple[str, ...]:
    return plugins.load("objectives", name).KINDS or KINDS


def descended(context: Any) -> tuple[Model, dict[str, Any], list[float]]:
    model = Model(context.copy_of_encoder(), context.new_head())
    _, facts = descend(context.course("full", model), model)
    progress = [one for one in context.run.told if one["event"] == "progress" and one["stage"] == "train"]
    return model, facts, [one["loss"] for one in progress]


def same_bits(one: Model, other: Model) -> bool:
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_takes(name: str) -> None:
    one = plugins.load("objectives", name)
    low, high = one.RANGE
    assert 0 == low < high
    assert one.KINDS is None or set(one.KINDS) <= set(KINDS)
    assert list(inspect.signature(one.wrap).parameters) == ["step", "strength", "context"]
    for other in (*getattr(one, "NOT_WITH", ()), *getattr(one, "BEFORE", ())):
        assert other in NAMES
    assert set(getattr(one, "NEEDS", ())) <= {"words", "pooled"}
    assert "Source" in one.__doc__ or "King and Zeng 2001" in one.__doc__


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in NAMES for kind in fits(name)])
def test_it_trains_and_the_same_seed_gives_the_same_bits(
    name: str, kind: str, precision: str, make_context: Make
) -> None:
    settings = LEARNING | {f"objectives.{name}": 0.3, "fit.precision": precision}
    model, facts, losses = descended(make_context(kind, settings, intents=INTENTS))
    assert facts["stopped"] == "epochs"
    assert facts["steps"] == len(losses) == 3
    assert all(math.isfinite(one) for one in losses)
    if precision == "fp32":
        again, _, _ = descended(make_context(kind, settings, intents=INTENTS))
        assert same_bits(model, again)


@pytest.mark.parametrize("name", NAMES)
def test_it_changes_the_training_and_strength_0_does_not(name: str, make_context: Make) -> None:
    without, off, on = (
        descended(make_context(fits(name)[0], LEARNING | own, intents=INTENTS))[2]
        for own in ({}, {f"objectives.{name}": 0.0}, {f"objectives.{name}": 0.5})
    )
    assert off == without
    if name == "class_weight":  # the sample's classes are of one size
        assert on == pytest.approx(without, rel=1e-5)
    else:
        assert on != without


@pytest.mark.parametrize("name", NAMES)
def test_it_stays_finite_at_its_largest_strength(name: str, make_context: Make) -> None:
    strength = plugins.load("objectives", name).RANGE[1]
    for kind in fits(name):
        context = make_context(kind, LEARNING | {f"objectives.{name}": strength}, intents=INTENTS)
        check(context.task, kind)
        model, facts, _ = descended(context)
        assert facts["stopped"] == "epochs"
        assert all(torch.isfinite(one).all() for one in model.state_dict().values())


@pytest.mark.parametrize("name", [name for name in NAMES if name != "class_weight"])
def test_killed_it_goes_on_to_the_same_bits(name: str, make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the 5th step of 9, before its checkpoint, it continues from the one after the 4th."""
    monkeypatch.setattr(Checkpoints, "due", True)
    settings = LEARNING | {"fit.epochs": 3, "fit.patience": 9, f"objectives.{name}": 0.4}
    whole, facts, _ = descended(make_context("classify", settings, intents=INTENTS))
    killed, told = make_context("classify", settings, intents=INTENTS), iter(range(1, 100))

    def kill(record: dict[str, Any]) -> None:
        if record["event"] == "progress" and record["stage"] == "train" and next(told) == 5:
            raise KeyboardInterrupt

    killed.run._listener = kill
    with pytest.raises(KeyboardInterrupt):
        descended(killed)
    again = make_context("classify", settings, intents=INTENTS)
    again.run.work = killed.run.work
    torch.rand(7)  # whatever another process has drawn
    continued, told_again, losses = descended(again)
    assert len(losses) == 5
    assert told_again == facts
    assert same_bits(whole, continued)


REFUSED = {("fgm", "pgd"), ("mixup", "supcon"), ("group_dro", "mixup")}
REFUSED |= {("focal", "margin"), ("label_smoothing", "margin"), ("margin", "mixup")}
DRAWN_ANEW = {("fgm", "mixup"), ("mixup", "pgd")}
PAIRS = [pair for pair in itertools.combinations(NAMES, 2) if pair not in REFUSED | DRAWN_ANEW]


@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
def test_two_give_the_same_in_either_order(
    pair: tuple[str, str], words_model: Any, words_piece: Any, context_of: Make
) -> None:
    """Without dropout; left out are pairs that are refused, and mixup inside an attack: it is drawn for each pass."""
    piece = replace(words_piece, weights=torch.full((6,), 1 / 6))
    context = context_of("classify", words_piece.truth.numpy()[:5])
    found = []
    for order in (pair, pair[::-1]):
        step = plain
        for name in reversed(order):
            step = plugins.load("objectives", name).wrap(step, 0.4, context)
        torch.manual_seed(3)
        words_model.zero_grad()
        loss = step(words_model, piece)
        found.append((loss, [one.grad.clone() for one in words_model.parameters()]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-6)
