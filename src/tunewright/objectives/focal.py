"""Focal loss: rows that are already sure weigh less. Source: Lin et al. 2017.

Each label's -log p becomes -(1 - p)^γ log p, p being the probability of what is true; classify: of the true class,
multilabel: for each label of its being there or not. Written as a change of the loss, so that it adds up with others.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunewright.objectives._soft import soft
from tunewright.train.context import Context
from tunewright.train.step import Piece, Step

RANGE = (0.0, 10.0)
KINDS = ("classify", "multilabel")
SMALLEST = 1e-30
"""Of 1 - p; below it the slope of its power is taken as 0."""


def wrap(step: Step, strength: float, context: Context) -> Step:
    """strength : γ"""
    change = _classify if context.target.kind == "classify" else _multilabel

    def focused(model: nn.Module, piece: Piece) -> Tensor:
        def loss(logits: Tensor, truth: Tensor) -> Tensor:
            shares = soft(truth, logits.shape[-1])
            return piece.loss(logits, truth) + change(logits, shares, strength).sum(-1)

        return step(model, replace(piece, loss=loss))

    return focused


def _classify(logits: Tensor, shares: Tensor, gamma: float) -> Tensor:
    return shares * _change(functional.log_softmax(logits, -1), gamma)


def _multilabel(logits: Tensor, shares: Tensor, gamma: float) -> Tensor:
    there, absent = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    return shares * _change(there, gamma) + (1 - shares) * _change(absent, gamma)


def _change(log_p: Tensor, gamma: float) -> Tensor:
    """-((1 - p)^γ - 1) log p, exact where p is near 1."""
    rest = torch.clamp(-torch.expm1(log_p), min=SMALLEST)
    return (1 - rest**gamma) * log_p
