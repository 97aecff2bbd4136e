"""States of a window pooled to one vector of length 1, and a linear map on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunewright.core.types import Kind


def mean(states: Tensor, mask: Tensor) -> Tensor:
    """Mean over the real tokens: (b, t, d), (b, t) → (b, d)."""
    weights = mask.unsqueeze(-1)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1.0)


def cls(states: Tensor, mask: Tensor) -> Tensor:
    """The first token's state."""
    return states[:, 0]


def largest(states: Tensor, mask: Tensor) -> Tensor:
    """Largest value over the real tokens, per dimension."""
    return (states + (mask.unsqueeze(-1) - 1) * 1e4).amax(1)


POOLING: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {"mean": mean, "cls": cls, "max": largest}


class Embed(nn.Module):
    """The declared head behind ``embed``: one vector of length 1 per window."""

    def __init__(self, pooling: str) -> None:
        super().__init__()
        self.pooling = pooling

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """states (b, t, d), mask (b, t) → (b, d)"""
        return functional.normalize(POOLING[self.pooling](states.float(), mask), dim=-1)


class PooledLinear(nn.Module):
    """Pool, normalise, linear: a closed-form fit on embeddings is exactly this map."""

    def __init__(self, width: int, size: int, pooling: str) -> None:
        super().__init__()
        self.embed = Embed(pooling)
        self.linear = nn.Linear(width, size)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """states (b, t, d), mask (b, t) → logits (b, k)"""
        return self.linear(self.embed(states, mask))  # type: ignore[no-any-return]

    @torch.no_grad()
    def start(self, weight: Tensor, bias: Tensor) -> None:
        """Begin from a closed-form fit: weight (k, d), bias (k,)."""
        self.linear.weight.copy_(weight)
        self.linear.bias.copy_(bias)


class PooledHead(nn.Module):
    """What heads with one vector of logits per row share; each adds its ``loss``.

    states (b, t, d), mask (b, t) → logits (b, k)
    """

    def __init__(self, width: int, kind: Kind, pooling: str) -> None:
        super().__init__()
        self.pooled = PooledLinear(width, kind.size, pooling)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        return self.pooled(states, mask)  # type: ignore[no-any-return]

    def start(self, weight: Tensor, bias: Tensor) -> None:
        """Begin from a closed-form fit."""
        self.pooled.start(weight, bias)
