"""The processes that make one training together: who is first, what all of them agree on, how gradients add up."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

T = TypeVar("T")


@dataclass(frozen=True)
class Team:
    """One of ``size`` processes, which have opened a process group of torch; alone, all of this costs nothing.

    Each computes its share of a step's rows. The first one judges, watches the clock, logs and keeps checkpoints.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def agree(self, value: T) -> T:
        """What the first one says, for all."""
        if self.size == 1:
            return value
        said: list[Any] = [value]
        dist.broadcast_object_list(said, src=0)
        return said[0]  # type: ignore[no-any-return]

    def agree_on(self, *numbers: float) -> list[float]:
        """As ``agree``, for a few numbers at each step."""
        if self.size == 1:
            return list(numbers)
        told = torch.tensor(numbers, dtype=torch.float64)
        dist.broadcast(told, src=0)
        said: list[float] = told.tolist()
        return said

    @torch.no_grad()
    def add_up(self, parameters: Sequence[nn.Parameter], loss: float) -> float:
        """Put the sum over all processes into every gradient; returns that of the losses.

        All travel in one tensor. A gradient that no process has stays None.
        """
        if self.size == 1:
            return loss
        sizes = [one.numel() for one in parameters]
        known = [float(one.grad is not None) for one in parameters]
        own = [one.new_zeros(one.numel()) if one.grad is None else one.grad.reshape(-1) for one in parameters]
        told = torch.tensor([*known, loss], dtype=own[0].dtype, device=own[0].device)
        whole = torch.cat([*own, told])
        dist.all_reduce(whole)
        *pieces, told = torch.split(whole, [*sizes, len(told)])
        *known, loss = told.tolist()
        for one, piece, count in zip(parameters, pieces, known, strict=True):
            one.grad = piece.view_as(one) if count else None
        return loss

    @torch.no_grad()
    def spread(self, tensors: Iterable[Tensor]) -> None:
        """Let every process hold the first one's values."""
        for one in tensors if self.size > 1 else ():
            dist.broadcast(one.data, src=0)

    def alike(self, tensors: Iterable[Tensor]) -> bool:
        """Whether all processes hold the same values, to the bit."""
        if self.size == 1:
            return True
        digest = hashlib.sha256()
        for one in tensors:
            digest.update(one.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, digest.hexdigest())
        return len(set(found)) == 1

    def draw_apart(self, seed: int, step: int) -> None:
        """Let the processes behind the first draw from torch's generator otherwise than it does, at every step anew.

        Their draws depend on nothing else, so a checkpoint holds the state of the first one's generator alone.
        """
        if not self.first:
            torch.manual_seed(int(np.random.SeedSequence([seed, self.rank, step]).generate_state(1)[0]))


ALONE = Team()
