"""Low-rank updates whose ranks are shared out by importance in training. Source: Zhang et al. 2023."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from tunewright.methods._low_rank import merge, put_beside, room
from tunewright.methods._partial import headed, shared, trained
from tunewright.train.context import Context
from tunewright.train.course import Course, Judge, one_after_other
from tunewright.train.fitted import Fitted
from tunewright.train.step import Piece, Step
from tunewright.train.updates import Factors

RANK = 8
"""Triplets per matrix at the end, on average."""
SPARE = 1.5
"""Triplets at first, as a multiple of those at the end."""
SCALE = 16.0
"""Of the updates: Λ is all that moves them at first, and P and Q have length 1."""
RATE = 2e-3
PENALTY = 0.1
SMOOTH = 0.85
"""Both β1, of the importance, and β2, of its uncertainty."""
WARM = 0.1
"""Share of the steps before anything is pruned."""
LAST = 0.5
"""Share of the steps, at the end, in which the budget is the last one and the triplets stay those chosen."""


class Triplets(nn.Module):
    """P·Λ·Q of each part of a layer, Λ zero at first, P and Q orthonormal.

    left : P of each part, (parts, out / parts, rank); strength : Λ of all parts, (parts * rank,)
    right : Q of all parts, one below the other, (parts * rank, in)
    """

    def __init__(self, base: nn.Linear, parts: int, rank: int) -> None:
        super().__init__()
        self.parts = parts
        self.left = nn.Parameter(torch.empty(parts, base.out_features // parts, rank))
        self.strength = nn.Parameter(torch.zeros(parts * rank))
        self.right = nn.Parameter(torch.empty(parts * rank, base.in_features))
        with torch.no_grad():
            for one in (*self.left, *self.right.view(parts, rank, -1)):
                nn.init.orthogonal_(one)

    def factors(self) -> Factors:
        return Factors(SCALE * self.strength[:, None] * self.right, self.left)

    def tilt(self) -> Tensor:
        """How far P and Q are from orthonormal, ‖PᵀP - I‖² + ‖QQᵀ - I‖², added up over the parts."""
        right = self.right.view(self.parts, -1, self.right.shape[1])
        unit = torch.eye(right.shape[1], device=right.device)
        return sum(((one - unit) ** 2).sum() for one in (self.left.mT @ self.left, right @ right.mT))  # type: ignore[return-value]

    def combined(self, left: Tensor, strength: Tensor, right: Tensor) -> Tensor:
        """Scores of the entries → of the triplets, (parts * rank,): Λ's own, and the means over its columns of P, Q."""
        return strength + left.mean(1).flatten() + right.mean(1)


class Ranks:
    """The importance of every triplet, smoothed over the steps, and the pruning of the least important ones.

    Of an entry w it is Ī·Ū, where I = |w · gradient|, Ī its moving average, and Ū that of |I - Ī|.

    budgets : triplets at first and at the end
    carried : the two moving averages, which a checkpoint must hold
    """

    def __init__(self, updates: Mapping[str, Triplets], last: int) -> None:
        self.updates = list(updates.values())
        self.entries = [one for update in self.updates for one in (update.left, update.strength, update.right)]
        self.mean = [torch.zeros_like(one, requires_grad=False) for one in self.entries]
        self.spread = [torch.zeros_like(one) for one in self.mean]
        self.budgets = sum(one.strength.numel() for one in self.updates), last
        pairs = zip(self.mean, self.spread, strict=True)
        self.carried = {
            f"{name}.{at}": one for at, pair in enumerate(pairs) for name, one in zip("IU", pair, strict=True)
        }

    @torch.no_grad()
    def after_step(self, step: int, planned: int) -> None:
        """Follow the importance as long as ranks are shared out, and prune down to the budget of the step."""
        if step <= (1 - LAST) * planned:
            for one, mean, spread in zip(self.entries, self.mean, self.spread, strict=True):
                importance = torch.zeros_like(one) if one.grad is None else (one * one.grad).abs()
                mean.lerp_(importance, 1 - SMOOTH)
                spread.lerp_((importance - mean).abs(), 1 - SMOOTH)
        if step > WARM * planned:
            self.prune(budget(*self.budgets, step, planned))

    @property
    def in_use(self) -> int:
        """Triplets whose Λ is not zero."""
        return sum(int(one.strength.count_nonzero()) for one in self.updates)

    def scores(self) -> Tensor:
        """The importance of all triplets, in the order of the updates."""
        entries = [mean * spread for mean, spread in zip(self.mean, self.spread, strict=True)]
        return torch.cat([one.combined(*entries[3 * at : 3 * at + 3]) for at, one in enumerate(self.updates)])

    @torch.no_grad()
    def prune(self, budget: int) -> None:
        """Set Λ to zero but for the ``budget`` most important triplets."""
        out = torch.argsort(self.scores(), descending=True, stable=True)[budget:]
        strengths = torch.cat([one.strength for one in self.updates])
        strengths[out] = 0.0
        sizes = [one.strength.numel() for one in self.updates]
        for one, values in zip(self.updates, torch.split(strengths, sizes), strict=True):
            one.strength.copy_(values)


def budget(first: int, last: int, step: int, planned: int) -> int:
    """Triplets that are left after a step: ``first`` in the warm-up, then down to ``last`` along a cubic."""
    begin, end = WARM * planned, (1 - LAST) * planned
    if step <= begin:
        return first
    if step >= end:
        return last
    return int(last + (first - last) * (1 - (step - begin) / (end - begin)) ** 3)


def fit(context: Context) -> Fitted:
    """Train updates of rank ``fit.size`` on average beside every linear layer, and the head."""
    rank = context.task.fit.size or RANK
    limits: list[int] = []

    def make(base: nn.Linear, parts: int) -> nn.Module:
        limits.extend([min(rank, room(base, parts))] * parts)
        return Triplets(base, parts, min(int(SPARE * rank), room(base, parts)))

    encoder = shared(context)
    updates: dict[str, Any] = put_beside(encoder, "adalora", make)
    model = headed(context, encoder).to(context.device)
    ranks = Ranks(updates, sum(limits))
    course = shared_out(context.course("adalora", model, rate=RATE), ranks)
    fitted = trained(context, course, model, rank=rank, budgets=list(ranks.budgets))
    fitted.facts["ranks"] = {
        name: one.strength.view(one.parts, -1).count_nonzero(1).tolist() for name, one in updates.items()
    }
    return replace(fitted, updates=merge(encoder))


def shared_out(course: Course, ranks: Ranks) -> Course:
    """The course with the penalty in each step and the pruning after it.

    What is judged may be what ships, so it is pruned to the last budget first.
    """
    return replace(
        course,
        step=penalised(course.step, ranks.updates),
        judge=pruned(course.judge, ranks),
        after_step=one_after_other(course.after_step, ranks.after_step),
        carried={**course.carried, **ranks.carried},
    )


def penalised(step: Step, updates: list[Triplets]) -> Step:
    """The step with the mean of the updates' tilts added to its loss."""

    def stepped(model: nn.Module, piece: Piece) -> Tensor:
        with torch.autocast(piece.weights.device.type, enabled=False):
            tilt = torch.stack([one.tilt() for one in updates]).mean()
            penalty = PENALTY * piece.weights.sum() * tilt
            penalty.backward()  # type: ignore[no-untyped-call]
        return step(model, piece) + penalty.detach()

    return stepped


def pruned(judge: Judge, ranks: Ranks) -> Judge:
    """The judgement of the values as they would ship."""

    def judged(model: nn.Module) -> tuple[float, Any]:
        if ranks.in_use > ranks.budgets[1]:
            ranks.prune(ranks.budgets[1])
        return judge(model)

    return judged
