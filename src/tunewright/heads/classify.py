"""One label per row: softmax cross-entropy on the pooled state."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from tunewright.heads._pooled import PooledHead


class ClassifyHead(PooledHead):
    """states (b, t, d), mask (b, t) → logits (b, k)"""

    @staticmethod
    def loss(logits: Tensor, truth: Tensor) -> Tensor:
        """logits (b, k), truth int64 (b,) → loss of each row (b,)"""
        return functional.cross_entropy(logits, truth, reduction="none")
