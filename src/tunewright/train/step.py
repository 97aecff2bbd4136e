"""One step of the loss: what objectives wrap around."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

Loss = Callable[[Tensor, Tensor], Tensor]
"""(outputs of the model, truth) → loss of each row (b,)"""


@dataclass(frozen=True)
class Piece:
    """Rows that are computed at once.

    arrays : the model's inputs by name; truth : what the loss compares with; weights : (b,) shares in the step's loss
    copies : how many times the rows stand in it, one after the other
    groups : int64, of each row as it was fed, where an objective asks for them
    """

    arrays: dict[str, Tensor]
    truth: Tensor
    weights: Tensor
    loss: Loss
    copies: int = 1
    groups: Tensor | None = None


Step = Callable[[nn.Module, Piece], Tensor]
"""(model, piece) → the piece's weighted loss, a number; its gradients are added to those of the model"""


def plain(model: nn.Module, piece: Piece) -> Tensor:
    """Forwards, loss, backwards."""
    losses = piece.loss(model(**piece.arrays), piece.truth)
    total = (losses * piece.weights).sum()
    total.backward()  # type: ignore[no-untyped-call]
    return total.detach()
