"""R-Drop: two passes of each row under different dropout are to agree. Source: Liang et al. 2021.

The rows stand twice in the batch; loss = (L1 + L2) / 2 + α (KL(P1 | P2) + KL(P2 | P1)) / 2, as in the authors' code;
the paper's own formula adds L1 and L2 up, so that its α is twice this one. multilabel: KL summed over labels; regress:
the squared difference, which is the KL of the two normal distributions that squared error stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunewright.train.context import Context
from tunewright.train.step import Piece, Step

RANGE = (0.0, 20.0)


def wrap(step: Step, strength: float, context: Context) -> Step:
    """strength : α"""
    apart = APART[context.target.kind]

    def twice(model: nn.Module, piece: Piece) -> Tensor:
        def loss(logits: Tensor, truth: Tensor) -> Tensor:
            one, other = logits.chunk(2)
            return piece.loss(logits, truth) + strength * apart(one, other).repeat(2)

        return step(
            model,
            replace(
                piece,
                arrays={name: torch.cat([values, values]) for name, values in piece.arrays.items()},
                truth=torch.cat([piece.truth, piece.truth]),
                weights=torch.cat([piece.weights, piece.weights]) / 2,
                loss=loss,
                copies=2 * piece.copies,
            ),
        )

    return twice


def softmax_apart(one: Tensor, other: Tensor) -> Tensor:
    """Mean of both KL of softmax distributions: logits (b, k), (b, k) → (b,)."""
    one, other = functional.log_softmax(one, -1), functional.log_softmax(other, -1)
    return ((one.exp() - other.exp()) * (one - other)).sum(-1) / 2


def sigmoid_apart(one: Tensor, other: Tensor) -> Tensor:
    """Mean of both KL, summed over labels that are there or not: logits (b, k), (b, k) → (b,)."""
    return ((one.sigmoid() - other.sigmoid()) * (one - other)).sum(-1) / 2


def squared_apart(one: Tensor, other: Tensor) -> Tensor:
    """(b, 1), (b, 1) → (b,)"""
    return ((one - other) ** 2).sum(-1)


APART: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "classify": softmax_apart,
    "multilabel": sigmoid_apart,
    "regress": squared_apart,
}
KINDS = tuple(APART)
