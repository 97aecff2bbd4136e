"""Differential privacy: clipping and noise by hand, the accountant of opacus, and that nothing else learns."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from tunewright.core.errors import MissingExtra, TunewrightError
from tunewright.core.task import read_task
from tunewright.methods import private
from tunewright.methods._accountant import noise_for, spent
from tunewright.train.ladder import climb
from tunewright.train.step import Piece
from tunewright.train.take import check_private

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from opacus.accountants import RDPAccountant

Make = Callable[..., Any]


class Head(torch.nn.Module):
    """What a pooled head has: a linear map under ``pooled.linear``."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.pooled = torch.nn.Module()
        self.pooled.linear = torch.nn.Linear(width, size)


def loss(logits: Any, truth: Any) -> Any:
    return functional.cross_entropy(logits, truth, reduction="none")


def piece_of(vectors: Any, truth: Any) -> Piece:
    return Piece({"vectors": vectors}, truth, torch.full((len(truth),), 1 / len(truth)), loss)


@pytest.mark.parametrize("clip", [0.1, 0.7, 100.0])
def test_each_row_is_clipped_before_the_sum(clip: float) -> None:
    """Against softmax regression by hand: the gradient of a row is (p - y) x for weights and p - y for biases."""
    torch.manual_seed(0)
    model = private.OnVectors(Head(5, 3))
    with torch.no_grad():
        model.linear.weight.normal_()
    vectors, truth = torch.randn(7, 5), torch.tensor([0, 1, 2, 0, 1, 2, 0])
    step = private.Clipped(model, clip, 0.0, expected=4)
    step.step(model, piece_of(vectors[:3], truth[:3]))  # pieces of one step add up
    total = step.step(model, piece_of(vectors[3:], truth[3:]))
    weight, bias = np.zeros((3, 5)), np.zeros(3)
    proba = torch.softmax(model.linear(vectors), -1).detach().double().numpy()
    for row, label, p in zip(vectors.double().numpy(), truth.tolist(), proba, strict=True):
        off = p - np.eye(3)[label]
        norm = math.sqrt(float((np.outer(off, row) ** 2).sum() + (off**2).sum()))
        weight += np.outer(off, row) * min(1.0, clip / norm)
        bias += off * min(1.0, clip / norm)
    np.testing.assert_allclose(model.linear.weight.grad, weight / 4, atol=1e-5)
    np.testing.assert_allclose(model.linear.bias.grad, bias / 4, atol=1e-5)
    assert float(total) == pytest.approx(float(loss(model.linear(vectors[3:]), truth[3:]).mean().detach()), abs=1e-5)


def test_one_row_more_changes_the_sum_by_no_more_than_the_clip() -> None:
    torch.manual_seed(1)
    vectors, truth = 50 * torch.randn(6, 4), torch.tensor([0, 1, 1, 0, 1, 0])
    sums = []
    for count in (5, 6):
        model = private.OnVectors(Head(4, 2))
        private.Clipped(model, 0.5, 0.0, expected=1).step(model, piece_of(vectors[:count], truth[:count]))
        sums.append(torch.cat([one.grad.flatten() for one in model.parameters()]))
    assert float((sums[1] - sums[0]).norm()) == pytest.approx(0.5, abs=1e-5)


def test_the_noise_has_its_deviation_also_in_a_step_without_rows() -> None:
    torch.manual_seed(2)
    model = private.OnVectors(Head(200, 100))
    private.Clipped(model, clip=0.5, noise=3.0, expected=10).disturb()
    noise = model.linear.weight.grad
    assert float(noise.std()) == pytest.approx(3.0 * 0.5 / 10, rel=0.02)
    assert abs(float(noise.mean())) < 0.01


def test_rows_are_drawn_each_by_itself() -> None:
    windows = private.Windows(1000, np.arange(1000), np.ones(1000, np.int64), {})
    feed = private.Poisson(windows, np.zeros(1000), private._batch)
    steps = [step for seed in range(20) for step in feed.epoch(50, np.random.default_rng(seed))]
    assert len(steps) == 400
    sizes = np.array([len(step) for step in steps])
    assert sizes.mean() == pytest.approx(50, abs=1.5)
    assert sizes.var() == pytest.approx(1000 * 0.05 * 0.95, rel=0.25)  # binomial, not fixed
    assert all(len(set(step.tolist())) == len(step) for step in steps)


@pytest.mark.parametrize(("epsilon", "rate", "steps"), [(1.0, 0.25, 200), (8.0, 0.25, 200), (3.0, 0.01, 1000)])
def test_what_is_spent_is_what_opacus_says(epsilon: float, rate: float, steps: int) -> None:
    noise = noise_for(epsilon, 1e-5, rate, steps)
    accountant = RDPAccountant()
    for _ in range(steps):
        accountant.step(noise_multiplier=noise, sample_rate=rate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = accountant.get_epsilon(1e-5)
    assert spent(noise, rate, steps, 1e-5) == pytest.approx(theirs)
    assert 0.97 * epsilon <= theirs <= epsilon
    assert spent(noise, rate, steps // 2, 1e-5) < theirs
    assert spent(noise, rate, 0, 1e-5) == 0.0


def test_the_fit_states_what_it_spent(make_context: Make) -> None:
    context = make_context("classify", {"privacy.epsilon": 4.0, "privacy.delta": 1e-4})
    fitted, rungs = climb(context)
    assert [rung.method for rung in rungs] == ["private"], "no other method learns from the rows"
    facts = fitted.facts
    assert 3.8 <= facts["epsilon"] <= 4.0
    assert facts["delta"] == 1e-4
    assert facts["steps"] >= private.STEPS
    assert facts["sample_rate"] == 64 / 80
    assert facts["epsilon"] == pytest.approx(
        spent(facts["noise_multiplier"], facts["sample_rate"], facts["steps"], 1e-4), abs=1e-3
    )
    assert facts["largest_advantage"] == round(private.largest_advantage(facts["epsilon"], 1e-4), 4)


def told_apart(make_context: Make, epsilon: float) -> Any:
    """A context whose embeddings tell the classes."""
    context = make_context("classify", {"privacy.epsilon": epsilon})
    centres = functional.normalize(torch.randn(4, 32, generator=torch.Generator().manual_seed(0)), dim=-1).numpy()
    for part in ("train", "validation"):
        context.__dict__[f"{part}_embeddings"] = centres[getattr(context, part).truth]
    return context


def test_no_seed_repeats_the_noise(make_context: Make) -> None:
    one, other = (private.fit(told_apart(make_context, 8.0)).validation_logits for _ in range(2))
    assert not np.array_equal(one, other)


def test_with_little_noise_it_learns(make_context: Make) -> None:
    context = told_apart(make_context, 1000.0)
    fitted = private.fit(context)
    assert (fitted.validation_logits.argmax(1) == context.validation.truth).all()
    assert noise_for(0.3, 1e-5, 0.8, 200) > 50 * fitted.facts["noise_multiplier"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fit.method": "full"}, "privacy.epsilon = 3 is not kept by method 'full' → use --method private"),
        ({"objectives.fgm": 0.3}, "objectives.fgm does not go with differential privacy → leave it out"),
        ({"fit.soup": 3}, "fit.soup = 3 does not go"),
        ({"fit.workers": 2}, "fit.workers = 2 does not go"),
        ({"fit.oversample": 1.0}, "fit.oversample = 1 does not go"),
    ],
)
def test_what_does_not_go_with_it_is_refused(settings: dict[str, Any], message: str) -> None:
    task, _ = read_task(None, {"privacy.epsilon": 3.0} | settings)
    with pytest.raises(TunewrightError, match=message):
        check_private(task, "classify")


def test_what_no_noise_can_keep_is_refused() -> None:
    with pytest.raises(
        TunewrightError, match="privacy.epsilon = 0.05 with delta = 1e-05 cannot be kept over 200 steps"
    ):
        noise_for(0.05, 1e-5, 0.8, 200)


def test_numbers_are_refused() -> None:
    task, _ = read_task(None, {"fit.method": "private"})
    with pytest.raises(TunewrightError, match="'private' does not fit kind 'regress'"):
        check_private(task, "regress")
    check_private(read_task(None, {"fit.method": "full", "objectives.fgm": 0.3})[0], "regress")


def test_without_opacus_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "opacus", None)
    with pytest.raises(MissingExtra, match=r"tunewright\[private\]"):
        noise_for(1.0, 1e-5, 0.1, 10)
