"""What the loop draws its batches from: windows with their truth, and how they become inputs of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunewright.core.types import Array, Ragged, Windows
from tunewright.runtime.batches import by_cost

NO_TRUTH = -100
STEP_BUDGET = 2048
"""Padded tokens that are computed at once; a step with more is added up from pieces, so that memory stays flat."""

BROAD = 128
"""Tokens from which on a window's attention counts, which grows with their square: of longer ones fewer go together."""


@dataclass(frozen=True)
class Feed:
    """m windows to learn from.

    wanted : truth of each window, or of its steps
    batch : (windows, index) → the model's inputs by name, padded to the longest of them
    repeats : int64 (m,), how often each comes in an epoch; default: once
    weights : float64 (m,), how much each counts in the loss; default: all alike
    groups : int64 (m,), which group each belongs to, where an objective asks for them
    apart : nothing is learnt from which rows are computed together, so that long ones may be computed alone
    """

    windows: Windows
    wanted: Array | Ragged
    batch: Callable[[Windows, Array], dict[str, Array]]
    repeats: NDArray[np.int64] | None = None
    apart: bool = False
    weights: NDArray[np.float64] | None = None
    groups: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        """Windows of one epoch."""
        return len(self.windows) if self.repeats is None else int(self.repeats.sum())

    def epoch(self, rows: int, draws: np.random.Generator) -> list[NDArray[np.int64]]:
        """Batches of like length in random order; which windows meet changes from epoch to epoch."""
        index = np.repeat(np.arange(len(self.windows)), 1 if self.repeats is None else self.repeats)
        jitter = draws.uniform(0.9, 1.1, len(index))
        order = index[np.argsort(self.windows.cost[index] * jitter, kind="stable")]
        batches = [order[start : start + rows] for start in range(0, len(order), rows)]
        return [batches[at] for at in draws.permutation(len(batches))]

    def own(self, index: Array, rank: int, size: int) -> tuple[Array, float]:
        """The windows of one step that one of ``size`` processes computes, and how much of the step's loss is theirs.

        The dearest are dealt out first, so that all have about as much to compute.
        """
        if size == 1:
            return index, 1.0
        own = index[np.argsort(-self.windows.cost[index], kind="stable")[rank::size]]
        return own, self.part(own, index)

    def part(self, own: Array, index: Array) -> float:
        """How much of the loss of the windows at ``index`` is that of those at ``own``, which are some of them."""
        weights = self.windows.share()
        return float(weights[own].sum() / weights[index].sum())

    def pieces(self, index: Array, budget: int) -> Iterator[tuple[Array, Array]]:
        """The windows of one step in pieces of at most ``budget`` tokens, each with its rows' shares of the loss."""
        shares, cost = self.windows.share()[index], self.windows.cost[index]
        counted = shares if self.weights is None else shares * self.weights[index]
        for piece in by_cost(np.maximum(cost, cost**2 // BROAD) if self.apart else cost, budget):
            yield index[piece], counted[piece] / shares.sum()

    def inputs(self, index: Array, device: torch.device) -> dict[str, Tensor]:
        """The model's inputs for the windows at ``index``."""
        arrays = self.batch(self.windows, index)
        return {name: torch.from_numpy(value).to(device) for name, value in arrays.items()}

    def groups_of(self, index: Array, device: torch.device) -> Tensor | None:
        """The groups of the windows at ``index``."""
        return None if self.groups is None else torch.from_numpy(self.groups[index]).to(device)

    def truth(self, index: Array, device: torch.device) -> Tensor:
        """Truth of the windows at ``index``; steps beyond a window's end have ``NO_TRUTH``."""
        wanted = self.wanted
        picked = wanted.padded(index, NO_TRUTH)[0] if isinstance(wanted, Ragged) else np.asarray(wanted[index])
        return torch.from_numpy(picked).to(device)
