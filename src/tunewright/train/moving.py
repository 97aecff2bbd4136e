"""The parameters that a training moves: their values, their moving average, and copies of the best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Moving:
    """What has ``requires_grad`` in a model.

    decay : of the moving average; 0 = none. Its memory grows with the steps, ``min(decay, (1 + s) / (10 + s))``, so
        that a short training is averaged over its end.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.parameters = {name: one for name, one in model.named_parameters() if one.requires_grad}
        self.decay = decay
        self.average: list[Tensor] | None = None
        self.averaged_steps = 0

    @property
    def size(self) -> int:
        """How many numbers move."""
        return sum(one.numel() for one in self.parameters.values())

    @torch.no_grad()
    def after_step(self) -> None:
        """Let the average follow."""
        if not self.decay:
            return
        current = [one.detach() for one in self.parameters.values()]
        if self.average is None:
            self.average = [one.clone() for one in current]
        else:
            torch._foreach_lerp_(self.average, current, 1 - share_kept(self.decay, self.averaged_steps))
        self.averaged_steps += 1

    @contextmanager
    def as_shipped(self) -> Iterator[None]:
        """Inside, the model holds the average, if there is one."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def copy(self) -> dict[str, Tensor]:
        """The values that the model holds now."""
        return {name: one.detach().clone() for name, one in self.parameters.items()}

    @torch.no_grad()
    def restore(self, values: Mapping[str, Tensor]) -> None:
        """Put values back that ``copy`` gave."""
        for name, one in self.parameters.items():
            one.copy_(values[name])

    def _swap(self) -> None:
        for at, one in enumerate(self.parameters.values() if self.average is not None else ()):
            assert self.average is not None
            one.data, self.average[at] = self.average[at], one.data


def share_kept(decay: float, steps: int) -> float:
    """The part of the average that stays after ``steps`` steps were averaged."""
    return min(decay, (1 + steps) / (10 + steps))
