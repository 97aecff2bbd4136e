"""Group-DRO: the groups that are learnt worst weigh most, by weights that follow their losses. Source: Sagawa 2020.

Sagawa et al. 2020, Distributionally Robust Neural Networks for Group Shifts, algorithm 1. A group is a value of
`audit.groups` together with the label, where a row has one. Its rows weigh q_g / f_g, f_g being its share of the
training rows; q starts equal for all m groups, and after each step q_g becomes q_g exp(η L_g) / Σ_h q_h exp(η L_h), L_g
being the mean loss of the group's rows in that step (a group without any keeps its q until the others are scaled).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from tunewright.core.errors import TunewrightError
from tunewright.train.context import Context
from tunewright.train.fairness import cells
from tunewright.train.step import Piece, Step

RANGE = (0.0, 1.0)
KINDS = ("classify", "multilabel", "regress")
BEFORE = ("mixup",)
"""Mixed rows have no group of their own."""


def wrap(step: Step, strength: float, context: Context) -> Step:
    """strength : η

    Raises
    ------
    TunewrightError
        The rows have no groups.
    """
    part = context.parts["train"]
    if len(part.groups) != len(part.truth):
        raise TunewrightError("objectives.group_dro: the task names no groups", 'set audit.groups = ["COLUMN"]')
    return GroupDro(step, strength, torch.bincount(torch.from_numpy(cells(part))))


class GroupDro:
    """A step whose weights of groups change after each step of the optimiser.

    rows : int64 (m,), of each group in training
    carried : q and the sums of the step under way, which a checkpoint must hold
    """

    def __init__(self, step: Step, strength: float, rows: Tensor) -> None:
        self.step, self.strength = step, strength
        self.shares = rows / rows.sum()
        self.weights = torch.full((len(rows),), 1 / len(rows))
        self.losses, self.seen = torch.zeros_like(self.weights), torch.zeros_like(self.weights)
        self.carried = {"group_dro.q": self.weights}

    def __call__(self, model: nn.Module, piece: Piece) -> Tensor:
        assert piece.groups is not None
        groups = piece.groups.repeat(len(piece.weights) // len(piece.groups))
        factor = (self.weights / self.shares).to(piece.weights)[groups]

        def loss(logits: Tensor, truth: Tensor) -> Tensor:
            losses = piece.loss(logits, truth)
            self._note(groups.repeat(len(losses) // len(groups)).cpu(), losses.detach())
            return losses

        return self.step(model, replace(piece, weights=piece.weights * factor, loss=loss))

    def _note(self, groups: Tensor, losses: Tensor) -> None:
        self.losses.index_add_(0, groups, losses.float().cpu())
        self.seen.index_add_(0, groups, torch.ones(len(groups)))

    def after_step(self, made: int, planned: int) -> None:
        """The exponentiated gradient step of q."""
        mean = self.losses / self.seen.clamp(min=1)
        grown = self.weights * torch.exp(self.strength * (mean - mean.max()))
        self.weights.copy_(torch.where(self.seen > 0, grown, self.weights * torch.exp(-self.strength * mean.max())))
        self.weights.div_(self.weights.sum())
        self.losses.zero_()
        self.seen.zero_()
