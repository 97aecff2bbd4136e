"""One label per step: a linear map on each state, cross-entropy over the steps that have a label."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from tunewright.core.types import Kind


class StepsHead(nn.Module):
    """states (b, t, d), mask (b, t) → logits (b, t, k)"""

    def __init__(self, width: int, kind: Kind, pooling: str) -> None:
        super().__init__()
        self.linear = nn.Linear(width, kind.size)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        return self.linear(states)

    @staticmethod
    def loss(logits: Tensor, truth: Tensor) -> Tensor:
        """logits (b, t, k), truth int64 (b, t) with -100 where there is none → loss of each row (b,)"""
        losses = functional.cross_entropy(logits.transpose(1, 2), truth, ignore_index=-100, reduction="none")
        return losses.sum(1) / (truth >= 0).sum(1).clamp(min=1)
