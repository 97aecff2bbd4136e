"""PGD: as FGM, but the shift is found in several steps, never further than ε away. Source: Madry et al. 2018.

δ ← δ + 2.5 ε / STEPS · g / |g| for each row over its tokens, then back onto the ball |δ| ≤ ε; δ = 0 to begin with. The
gradients of the first pass (δ = 0) and of the last are added; those between move no parameter. A step takes about three
times as long.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tunewright.objectives._adversarial import norm, shifted, still, unit
from tunewright.train.context import Context
from tunewright.train.step import Piece, Step

RANGE = (0.0, 10.0)
KINDS = None
NEEDS = ("words",)
NOT_WITH = ("fgm",)
STEPS = 3
STRIDE = 2.5 / STEPS
"""Of a step, in units of ε: the authors' choice, with which the border can be reached from anywhere in the ball."""


def wrap(step: Step, strength: float, context: Context) -> Step:
    """strength : ε, the largest norm of a row's shift"""

    def attacked(model: nn.Module, piece: Piece) -> Tensor:
        clean, gradients = shifted(step, model, piece)
        shifts = [moved(torch.zeros_like(one), one, strength) for one in gradients]
        with still(model):
            for _ in range(STEPS - 1):
                _, gradients = shifted(step, model, piece, shifts)
                shifts = [moved(one, up, strength) for one, up in zip(shifts, gradients, strict=True)]
        last, _ = shifted(step, model, piece, shifts)
        return clean + last

    return attacked


def moved(shift: Tensor, gradient: Tensor, radius: float) -> Tensor:
    """One step along the gradient, projected onto the ball: (b, t, d) → (b, t, d)."""
    further = shift + STRIDE * radius * unit(gradient)
    return further * (radius / norm(further).clamp(min=radius))
