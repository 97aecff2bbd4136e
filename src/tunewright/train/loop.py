"""The one gradient loop: batches of like length, warm-up and decay, moving average, early stopping, best kept."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from tunewright.core.task import Fit
from tunewright.core.types import Array, Ragged
from tunewright.runtime.batches import by_cost
from tunewright.train.context import Context, Examples, logits_of
from tunewright.train.device import fast, give_back

NO_TRUTH = -100
STEP_BUDGET = 2048
"""Padded tokens that are computed at once; a step with more is added up from pieces, so that memory stays flat."""
EXPORT_SECONDS = 15.0
"""Kept back from the minutes for tracing the graphs, audits and report."""
COMPARED_PASSES = 2.5
"""What comparing and judging costs, in passes of the held-out rows: once trained, once exported, and the extremes."""


class Model(nn.Module):
    """Encoder and head, trained together."""

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, **arrays: Tensor) -> Tensor:
        states, mask = self.encoder(**arrays)
        return self.head(states.float(), mask)  # type: ignore[no-any-return]


@dataclass
class Best:
    """The best weights so far by the mean row score of the validation part; a later one must be better."""

    model: Model
    score: float
    logits: Array
    step: int = 0
    misses: int = 0
    scores: list[float] = field(default_factory=list)


def descend(context: Context, model: Model) -> tuple[Best, dict[str, Any]]:
    """Train what has ``requires_grad`` in ``model``.

    The weights to begin with are judged too, so the result is never worse on the validation part than the start.

    Returns
    -------
    The best weights (as a model in fp32) and what is to be told of the training. Where the loss stops being finite,
    training ends with the best so far and says so.
    """
    fit = context.task.fit
    model.to(context.device)
    begun = context.run.elapsed
    best = _start(context, model.head)
    pass_seconds = context.run.elapsed - begun
    average = AveragedModel(model, multi_avg_fn=_slow_start(fit.average)) if fit.average else None
    optimiser = torch.optim.AdamW(_groups(model, fit.weight_decay), lr=fit.learning_rate, fused=True)
    truth = context.train.wanted
    per_epoch = math.ceil(len(context.train.windows) / fit.batch_rows)
    plan = Plan(fit.epochs * per_epoch, context, pass_seconds * _times_validation(context))
    facts: dict[str, Any] = {"stopped": "epochs"}
    step = 0
    torch.manual_seed(context.task.seed)
    draws = np.random.default_rng(context.task.seed)
    for epoch in range(fit.epochs):
        for index in _shuffled(context.train, fit.batch_rows, draws):
            if context.run.stopping or step >= plan.steps:
                break
            loss = _step(context, model, optimiser, index, truth, plan.rate(step))
            if not math.isfinite(loss):
                facts["stopped"] = "loss is not finite"
                break
            if average is not None:
                average.update_parameters(model)
            step += 1
            plan.look(step)
            if step % 20 == 0:
                give_back()
            context.run.progress("train", step / plan.steps, loss=loss, epoch=epoch + 1)
        if facts["stopped"] != "epochs":
            remedy = f"lower fit.learning_rate (now {fit.learning_rate:g})"
            context.run.log("astray", say=f"the loss is not finite at step {step}: the best so far is kept → {remedy}")
            break
        _judge(context, best, model if average is None else cast(Model, average.module), step)
        context.run.log("epoch", epoch=epoch + 1, step=step, score=best.scores[-1], say=_said(context, epoch, best))
        if context.run.stopping or step >= plan.steps:
            break
        if best.misses >= fit.patience:
            facts["stopped"] = "no gain"
            break
    if context.run.interrupted:
        facts["stopped"] = "interrupted"
    elif facts["stopped"] == "epochs" and step < fit.epochs * per_epoch:
        facts["stopped"] = "minutes"
    return best, {**facts, "steps": step, "best_step": best.step, "scores": best.scores}


class Plan:
    """How many steps are made and how large they are; cut short, in time, where the minutes do not last."""

    def __init__(self, steps: int, context: Context, held_out_seconds: float = 0.0) -> None:
        self.steps = steps
        self.fit: Fit = context.task.fit
        self._run = context.run
        self._begun = context.run.elapsed
        self._reserve = min(EXPORT_SECONDS + COMPARED_PASSES * held_out_seconds, 0.4 * context.run.seconds)

    def look(self, step: int) -> None:
        """After step 5, 10, 20 and then every 20: would the planned steps end in time?"""
        if step not in (5, 10) and step % 20:
            return
        seconds_per_step = (self._run.elapsed - self._begun) / step
        possible = step + int((self._run.left - self._reserve) / seconds_per_step)
        if possible < self.steps:
            self.steps = max(possible, step)

    def rate(self, step: int) -> float:
        """Step size: rises over the warm-up, then falls to zero along a straight line."""
        share = (step + 1) / (self.steps + 1)
        if share < self.fit.warmup:
            return self.fit.learning_rate * share / self.fit.warmup
        return self.fit.learning_rate * (1 - share) / (1 - self.fit.warmup)


def _step(
    context: Context, model: Model, optimiser: torch.optim.Optimizer, index: Array, truth: Array | Ragged, rate: float
) -> float:
    """One step of the optimiser; returns the loss, the mean over rows."""
    windows = context.train.windows
    weights = windows.share()[index]
    model.train()
    loss = 0.0
    with fast(context.device, context.bf16):
        for piece in by_cost(windows.cost[index], STEP_BUDGET):
            wanted = _wanted(truth, index[piece])
            part = torch.from_numpy(weights[piece] / weights.sum()).to(context.device, torch.float32)
            arrays = context.backbone.modality.batch(windows, index[piece])
            logits = model(**{name: torch.from_numpy(value).to(context.device) for name, value in arrays.items()})
            losses = model.head.loss(logits.float(), torch.from_numpy(wanted).to(context.device))  # type: ignore[operator]
            share = (losses * part).sum()
            share.backward()
            loss += float(share.detach())
        for group in optimiser.param_groups:
            group["lr"] = rate
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    return loss


def _wanted(truth: Array | Ragged, index: Array) -> Array:
    """Truth of the windows at ``index``; steps beyond a window's end have ``NO_TRUTH``."""
    return truth.padded(index, NO_TRUTH)[0] if isinstance(truth, Ragged) else np.asarray(truth[index])


def _shuffled(examples: Examples, rows: int, draws: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Batches of like length in random order; which windows meet changes from epoch to epoch."""
    cost = examples.windows.cost
    jitter = draws.uniform(0.9, 1.1, len(cost))
    order = np.argsort(cost * jitter, kind="stable")
    batches = [order[start : start + rows] for start in range(0, len(order), rows)]
    return (batches[at] for at in draws.permutation(len(batches)))


def _groups(model: Model, decay: float) -> list[dict[str, Any]]:
    """Matrices decay; biases and norms do not."""
    moving = [one for one in model.parameters() if one.requires_grad]
    return [
        {"params": [one for one in moving if one.ndim >= 2], "weight_decay": decay},
        {"params": [one for one in moving if one.ndim < 2], "weight_decay": 0.0},
    ]


def _slow_start(decay: float) -> Callable[[Any, Any, Any], None]:
    """Moving average whose memory grows with the steps, so that a short training is averaged over its end."""

    @torch.no_grad()
    def mix(averaged: list[Tensor], current: list[Tensor], count: Tensor | int) -> None:
        share = min(decay, (1 + int(count)) / (10 + int(count)))
        torch._foreach_lerp_(averaged, current, 1 - share)

    return mix


def _times_validation(context: Context) -> float:
    """How much more the held-out part costs than the validation part."""
    if context.held_out is None:
        return 0.0
    return float(context.held_out.windows.cost.sum() / max(1, context.validation.windows.cost.sum()))


def _start(context: Context, head: nn.Module) -> Best:
    """What training begins with: the backbone as it is, which is not copied, and the head."""
    model = Model(context.backbone.encoder, copy.deepcopy(head))
    logits = logits_of(context, model.encoder, model.head, context.validation)
    score = _score(context, logits)
    return Best(model, score, logits, scores=[score])


def _judge(context: Context, best: Best, model: Model, step: int) -> None:
    logits = logits_of(context, model.encoder, model.head, context.validation)
    score = _score(context, logits)
    best.scores.append(score)
    if score > best.score:
        if best.step:
            best.model.load_state_dict(model.state_dict())
        else:
            best.model = copy.deepcopy(model)
        best.score, best.logits, best.step, best.misses = score, logits, step, 0
    else:
        best.misses += 1


def _score(context: Context, logits: Array) -> float:
    return round(float(context.kind.row_score(logits, context.validation.truth).mean()), 6)


def _said(context: Context, epoch: int, best: Best) -> str:
    of = f"epoch {epoch + 1} of {context.task.fit.epochs}"
    return f"{of}: validation {context.kind.headline[0]} {best.scores[-1]:.4f} (best {best.score:.4f})"
