"""Manifold mixup: pooled embeddings and truths of pairs of rows are mixed. Source: Verma et al. 2019.

Row i with its partner j, drawn anew for each piece: λ e_i + (1 - λ) e_j under the head's linear map, learnt with the
truth λ y_i + (1 - λ) y_j and the weight λ w_i + (1 - λ) w_j; λ is drawn for each row from Beta(α, α), as in the mixup
of inputs by Zhang et al. 2018.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from tunewright.objectives._parts import named, watched
from tunewright.objectives._soft import soft
from tunewright.train.context import Context
from tunewright.train.step import Piece, Step

RANGE = (0.0, 10.0)
KINDS = ("classify", "multilabel", "regress")
NEEDS = ("pooled",)
PAIRS = True


def wrap(step: Step, strength: float, context: Context) -> Step:
    """strength : α"""
    size = context.kind.size

    def mixed(model: nn.Module, piece: Piece) -> Tensor:
        mix = Mix.drawn(len(piece.weights) // piece.copies, strength)

        def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
            return mix(output)

        truth, weights = mix(soft(piece.truth, size)), mix(piece.weights)
        embeds = [pooled.get_submodule("embed") for pooled in named(model, "pooled")]
        with watched(embeds, hook):
            return step(model, replace(piece, truth=truth, weights=weights))

    return mixed


class Mix:
    """Which rows are mixed, and by how much.

    shares : float32 (b,), the part that a row keeps; partners : int64 (b,)
    """

    def __init__(self, shares: Tensor, partners: Tensor) -> None:
        self.shares = shares
        self.partners = partners

    @classmethod
    def drawn(cls, rows: int, alpha: float) -> Mix:
        """From torch's generator, whose state a checkpoint keeps."""
        return cls(torch.distributions.Beta(alpha, alpha).sample((rows,)), torch.randperm(rows))

    def __call__(self, values: Tensor) -> Tensor:
        """Mix (c b, ...): c copies of the rows, one after the other, each mixed within itself."""
        rows = len(self.partners)
        copies = len(values) // rows
        partners = torch.cat([self.partners + rows * copy for copy in range(copies)]).to(values.device)
        shares = self.shares.repeat(copies).to(values).view(-1, *[1] * (values.ndim - 1))
        return shares * values + (1 - shares) * values[partners]
