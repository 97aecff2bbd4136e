"""A linear head on frozen embeddings, with differential privacy: the model tells almost nothing of any one row."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array, Windows
from tunewright.kinds._several import named_kind
from tunewright.methods._accountant import noise_for, spent
from tunewright.train.context import Context
from tunewright.train.course import Course, Model
from tunewright.train.feed import Feed
from tunewright.train.fitted import Fitted
from tunewright.train.loop import descend
from tunewright.train.step import Piece

KINDS = ("classify", "multilabel")
SECRET = True
"""No seed repeats its draws: noise that can be drawn again can be taken off again."""
EPSILON = 8.0
"""Where the task names none."""
RATE = 0.1
PARTS = 4
"""A step expects at least one row in so many: large steps drown their noise."""
STEPS = 200
TIE = 1e-9
"""Of epochs that judge alike the later one is taken: it has averaged more of the noise away."""


def fit(context: Context) -> Fitted:
    """DP-SGD: each row's gradient is clipped, noise is added to their sum, and the privacy that this costs is counted.

    The promise holds for each training row: with or without it, any outcome is at most e^ε times as likely, but for δ.
    Validation rows (they choose the epoch and the calibration) are not covered, nor are the labels themselves.

    Source: Abadi et al. 2016, Deep Learning with Differential Privacy; Mironov 2017 (the accountant, of opacus).
    """
    if context.target.kind not in KINDS:
        raise TunewrightError(f"method 'private' does not fit {named_kind(context.target.kind)}", "use --method full")
    privacy, n = context.task.privacy, len(context.train)
    expected = min(n, max(context.task.fit.batch_rows, math.ceil(n / PARTS)))
    per_epoch = math.ceil(n / expected)
    epochs = max(context.task.fit.epochs, math.ceil(STEPS / per_epoch))
    noise = noise_for(privacy.epsilon or EPSILON, privacy.delta, expected / n, epochs * per_epoch)
    model = OnVectors(context.new_head())
    clipped = Clipped(model, privacy.clip, noise, expected)
    best, told = descend(_course(context, model, clipped, expected, epochs), model)
    epsilon = round(spent(noise, expected / n, told["steps"], privacy.delta), 4)
    facts = {
        "epsilon": epsilon,
        "delta": privacy.delta,
        "clip": privacy.clip,
        "noise_multiplier": round(noise, 6),
        "sample_rate": round(expected / n, 6),
        "accountant": "rdp",
        "largest_advantage": round(largest_advantage(epsilon, privacy.delta), 4),
        "covers": "training rows; not the validation rows, nor figures of the run such as losses",
    }
    return Fitted("private", context.backbone.encoder, model.head, best.outputs, {**told, **facts})


def largest_advantage(epsilon: float, delta: float) -> float:
    """What any attack that tells training rows from others can reach at most: (e^ε - 1 + 2δ) / (e^ε + 1).

    Source: Kairouz, Oh and Viswanath 2015, The Composition Theorem for Differential Privacy (the region of errors).

    >>> round(largest_advantage(1.0, 1e-5), 3)
    0.462
    """
    rare = math.exp(-epsilon)
    return (1 - rare + 2 * delta * rare) / (1 + rare)


class OnVectors(Model):
    """The linear map of a head on embeddings, begun at zero: the probe would tell of the rows."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__(nn.Identity(), head)
        for one in self.linear.parameters():
            nn.init.zeros_(one)

    @property
    def linear(self) -> nn.Module:
        return self.head.pooled.linear  # type: ignore[union-attr, return-value]

    def forward(self, **arrays: Tensor) -> Tensor:
        """vectors float32 (b, d) → logits (b, k)"""
        return self.linear(arrays["vectors"]).float()  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Poisson(Feed):
    """Each step takes each row by a draw of its own, as the accountant assumes; a step may have none."""

    def epoch(self, rows: int, draws: np.random.Generator) -> list[NDArray[np.int64]]:
        """As many steps as the rows have batches of ``rows``, which is how many a step expects."""
        n = len(self)
        return [np.flatnonzero(draws.random(n) < rows / n) for _ in range(math.ceil(n / rows))]


@dataclass(frozen=True)
class Clipped:
    """The step of DP-SGD: (sum of min(1, C / |g|) g over the rows + noise of deviation σ C) / expected rows.

    clip : C, largest norm of one row's gradient; noise : σ; expected : rows that a step takes on the average
    """

    model: nn.Module
    clip: float
    noise: float
    expected: int

    def step(self, model: nn.Module, piece: Piece) -> Tensor:
        """Add the clipped gradients of the piece's rows to those of the model."""
        moving = {name: one for name, one in model.named_parameters() if one.requires_grad}

        def loss(values: dict[str, Tensor], arrays: dict[str, Tensor], truth: Tensor) -> Tensor:
            one_row = {name: value.unsqueeze(0) for name, value in arrays.items()}
            return piece.loss(functional_call(model, values, (), one_row), truth.unsqueeze(0)).sum()

        values = {name: one.detach() for name, one in moving.items()}
        of_row: Callable[..., Any] = vmap(grad_and_value(loss), in_dims=(None, 0, 0))
        gradients, losses = of_row(values, piece.arrays, piece.truth)
        norms = torch.sqrt(sum(one.flatten(1).pow(2).sum(1) for one in gradients.values()))
        kept = (self.clip / norms.clamp(min=1e-12)).clamp(max=1.0)
        for name, one in moving.items():
            added = torch.einsum("b,b...->...", kept, gradients[name]) / self.expected
            one.grad = added if one.grad is None else one.grad + added
        total: Tensor = (losses * piece.weights).sum()
        return total.detach()

    def disturb(self) -> None:
        """Add the noise of one step to its gradients."""
        for one in self.model.parameters():
            if one.requires_grad:
                noise = torch.randn_like(one) * (self.noise * self.clip / self.expected)
                one.grad = noise if one.grad is None else one.grad + noise


def _course(context: Context, model: OnVectors, clipped: Clipped, expected: int, epochs: int) -> Course:
    vectors, truth, kind = context.train_embeddings, context.train.truth, context.kind
    n = len(truth)
    one_each = Windows(n, np.arange(n), np.ones(n, np.int64), {"vectors": vectors})
    feed = Poisson(one_each, truth, _batch, apart=True)
    course = context.course("private", model, rate=RATE, feed=feed)
    judged, calls = torch.from_numpy(context.validation_embeddings).to(context.device), count()

    @torch.inference_mode()
    def judge(_: nn.Module) -> tuple[float, Array]:
        logits = model(vectors=judged).cpu().numpy()
        score = round(float(kind.row_score(logits, context.validation.truth).mean()), 6)
        return score + next(calls) * TIE, logits

    # Noise makes every epoch look worse than some other one, so no epoch without a gain ends the training.
    own = {"epochs": epochs, "batch_rows": expected, "patience": epochs, "weight_decay": 0.0}
    return replace(
        course,
        judge=judge,
        fit=course.fit.model_copy(update=own),
        seed=secrets.randbits(63),
        step=clipped.step,
        before_step=clipped.disturb,
        bf16=False,
    )


def _batch(windows: Windows, index: Array) -> dict[str, Array]:
    """vectors float32 (b, d)"""
    vectors = windows.data["vectors"]
    assert isinstance(vectors, np.ndarray)
    return {"vectors": vectors[index]}
