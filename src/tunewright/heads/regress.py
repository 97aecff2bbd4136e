"""One number per row: squared error in units of the training spread."""

from __future__ import annotations

from torch import Tensor

from tunewright.core.types import Kind
from tunewright.heads._pooled import PooledHead
from tunewright.kinds.regress import Regress


class RegressHead(PooledHead):
    """states (b, t, d), mask (b, t) → logits (b, 1): the number less the mean, over the spread"""

    def __init__(self, width: int, kind: Kind, pooling: str) -> None:
        super().__init__(width, kind, pooling)
        assert isinstance(kind, Regress)
        self.mean, self.scale = kind.mean, kind.scale

    def loss(self, logits: Tensor, truth: Tensor) -> Tensor:
        """logits (b, 1), truth float64 (b,) → loss of each row (b,)"""
        wanted = ((truth - self.mean) / self.scale).to(logits.dtype)
        return (logits[:, 0] - wanted) ** 2
