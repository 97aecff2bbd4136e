"""Any number of labels per row: binary cross-entropy per label on the pooled state."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from tunewright.core.types import Kind
from tunewright.heads._pooled import PooledLinear


class MultilabelHead(nn.Module):
    """states (b, t, d), mask (b, t) → logits (b, k)"""

    def __init__(self, width: int, kind: Kind, pooling: str) -> None:
        super().__init__()
        self.pooled = PooledLinear(width, kind.size, pooling)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        return self.pooled(states, mask)  # type: ignore[no-any-return]

    def start(self, weight: Tensor, bias: Tensor) -> None:
        """Begin from a closed-form fit."""
        self.pooled.start(weight, bias)

    @staticmethod
    def loss(logits: Tensor, truth: Tensor) -> Tensor:
        """logits (b, k), truth uint8 (b, k) → loss of each row (b,), the sum over labels"""
        return functional.binary_cross_entropy_with_logits(logits, truth.to(logits.dtype), reduction="none").sum(-1)
