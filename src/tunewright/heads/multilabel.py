"""Any number of labels per row: binary cross-entropy per label on the pooled state."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from tunewright.heads._pooled import PooledHead


class MultilabelHead(PooledHead):
    """states (b, t, d), mask (b, t) → logits (b, k)"""

    @staticmethod
    def loss(logits: Tensor, truth: Tensor) -> Tensor:
        """logits (b, k), truth uint8 (b, k) → loss of each row (b,), the sum over labels"""
        return functional.binary_cross_entropy_with_logits(logits, truth.to(logits.dtype), reduction="none").sum(-1)
