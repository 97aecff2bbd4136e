"""One number per row: squared error in units of the training spread."""

from __future__ import annotations

from torch import Tensor, nn

from tunewright.core.types import Kind
from tunewright.heads._pooled import PooledLinear
from tunewright.kinds.regress import Regress


class RegressHead(nn.Module):
    """states (b, t, d), mask (b, t) → logits (b, 1): the number less the mean, over the spread"""

    def __init__(self, width: int, kind: Kind, pooling: str) -> None:
        super().__init__()
        assert isinstance(kind, Regress)
        self.mean, self.scale = kind.mean, kind.scale
        self.pooled = PooledLinear(width, kind.size, pooling)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        return self.pooled(states, mask)  # type: ignore[no-any-return]

    def start(self, weight: Tensor, bias: Tensor) -> None:
        """Begin from a closed-form fit."""
        self.pooled.start(weight, bias)

    def loss(self, logits: Tensor, truth: Tensor) -> Tensor:
        """logits (b, 1), truth float64 (b,) → loss of each row (b,)"""
        wanted = ((truth - self.mean) / self.scale).to(logits.dtype)
        return (logits[:, 0] - wanted) ** 2
