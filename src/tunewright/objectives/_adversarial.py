"""What the adversarial objectives share: passes in which the embeddings of tokens are shifted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from tunewright.objectives._parts import named, watched
from tunewright.train.step import Piece, Step


def shifted(step: Step, model: nn.Module, piece: Piece, shifts: Sequence[Tensor] = ()) -> tuple[Tensor, list[Tensor]]:
    """A step with ``shifts`` added to the outputs of ``words`` (b, t, d), one for each call; without any, zeros.

    Returns
    -------
    The step's loss, and the gradient at each shift.
    """
    leaves: list[Tensor] = []

    def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        shift = shifts[len(leaves)] if shifts else torch.zeros_like(output)
        leaves.append(shift.detach().requires_grad_())
        return output + leaves[-1]

    with watched(named(model, "words"), hook):
        loss = step(model, piece)
    return loss, [torch.zeros_like(one) if one.grad is None else one.grad for one in leaves]


@contextmanager
def still(model: nn.Module) -> Iterator[None]:
    """Inside, no parameter gets a gradient."""
    moving = [one for one in model.parameters() if one.requires_grad]
    for one in moving:
        one.requires_grad_(False)
    try:
        yield
    finally:
        for one in moving:
            one.requires_grad_(True)


def norm(values: Tensor) -> Tensor:
    """Euclidean norm of each row over all else, (b, 1, ...); squares of small numbers do not vanish."""
    rest = tuple(range(1, values.ndim))
    largest = values.abs().amax(rest, keepdim=True)
    scaled = values / torch.where(largest > 0, largest, 1)
    return largest * scaled.square().sum(rest, keepdim=True).sqrt()


def unit(values: Tensor) -> Tensor:
    """Each row with norm 1; a row of zeros stays."""
    length = norm(values)
    return values / torch.where(length > 0, length, 1)
