"""Heads of several targets beside each other, and any head of several targets taken apart into one for each."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tunewright.core import plugins
from tunewright.core.types import Kind
from tunewright.kinds._several import Several


class SeveralHead(nn.Module):
    """states (b, t, d), mask (b, t) → logits (b, k), those of each target in turn

    The loss of a row is the weighted mean over all targets; one without a truth in the row counts as zero there, so
    that the others weigh what they weigh in every row.
    """

    def __init__(self, width: int, kind: Kind, pooling: str) -> None:
        super().__init__()
        assert isinstance(kind, Several)
        self.slots = kind.slots
        self.heads = nn.ModuleList(plugins.load("heads", one.plugin)(width, one.kind, pooling) for one in kind.singles)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        return torch.cat([head(states, mask) for head in self.heads], -1)

    def loss(self, logits: Tensor, truth: Tensor) -> Tensor:
        """logits (b, k), truth float64 (b, c), NaN where there is none → loss of each row (b,)"""
        whole = sum(slot.single.weight for slot in self.slots)
        losses = logits.new_zeros(len(truth))
        for slot, head in zip(self.slots, self.heads, strict=True):
            known = ~torch.isnan(truth[:, slot.truth.start])
            if known.any():
                dtype = torch.from_numpy(slot.single.kind.encode([])).dtype
                own = truth[known][:, slot.truth].to(dtype)
                found = head.loss(logits[known][:, slot.logits], own[:, 0] if slot.flat else own)  # type: ignore[operator]
                losses = losses.index_add(
                    0, known.nonzero()[:, 0], found.to(losses.dtype), alpha=slot.single.weight / whole
                )
        return losses

    def start(self, weight: Tensor, bias: Tensor) -> None:
        """Begin from closed-form fits: weight (k, d), bias (k,)."""
        for slot, head in zip(self.slots, self.heads, strict=True):
            head.start(weight[slot.logits], bias[slot.logits])  # type: ignore[operator]


class Columns(nn.Module):
    """Some of the logits that another head gives: those from ``start`` on, before ``stop``."""

    def __init__(self, head: nn.Module, start: int, stop: int) -> None:
        super().__init__()
        self.head = head
        self.start = start
        self.stop = stop

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """states (b, t, d), mask (b, t) → logits (b, k)"""
        return self.head(states, mask)[:, self.start : self.stop]  # type: ignore[no-any-return]


def apart(head: nn.Module, kind: Several) -> dict[str, nn.Module]:
    """Target → a head that gives its logits alone."""
    if isinstance(head, SeveralHead):
        return {one.name: own for one, own in zip(kind.singles, head.heads, strict=True)}
    return {slot.single.name: Columns(head, slot.logits.start, slot.logits.stop) for slot in kind.slots}
