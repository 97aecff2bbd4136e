"""Low-rank updates of all linear layers, merged into the weights or shipped beside them. Source: Hu et al. 2021."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import nn

from tunewright.methods._low_rank import merge, put_beside, room
from tunewright.methods._partial import headed, shared, trained
from tunewright.train.context import Context
from tunewright.train.fitted import Fitted
from tunewright.train.updates import Factors

RANK = 8
ALPHA = 16.0
"""The product of the factors is scaled by ``ALPHA / rank``, so that another rank needs no other step size."""
RATE = 1e-3


class Pair(nn.Module):
    """B·A of each part of a layer, B zero at first.

    down : A of all parts, one below the other, (parts * rank, in); up : B of each part, (parts, out / parts, rank)
    """

    def __init__(self, base: nn.Linear, parts: int, rank: int) -> None:
        super().__init__()
        rank = min(rank, room(base, parts))
        self.scale = ALPHA / rank
        self.down = nn.Parameter(torch.empty(parts * rank, base.in_features))
        self.up = nn.Parameter(torch.zeros(parts, base.out_features // parts, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def factors(self) -> Factors:
        return Factors(self.down, self.scale * self.up)


def fit(context: Context) -> Fitted:
    """Train an update of rank ``fit.size`` beside every linear layer, and the head."""
    rank = context.task.fit.size or RANK
    encoder = shared(context)
    put_beside(encoder, "lora", lambda base, parts: Pair(base, parts, rank))
    model = headed(context, encoder)
    fitted = trained(context, context.course("lora", model, rate=RATE), model, rank=rank, alpha=ALPHA)
    return replace(fitted, updates=merge(encoder))
