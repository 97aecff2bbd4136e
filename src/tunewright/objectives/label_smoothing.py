"""Label smoothing: a share of each label is spread over all classes. Source: Szegedy et al. 2016.

classify: cross-entropy with the truth (1 - ε) y + ε / k; multilabel: binary cross-entropy with (1 - ε) y + ε / 2. Both
losses are linear in the truth, so the change is the term ε (Σ y z - mean z), or ε Σ (y - 1/2) z, in the logits z.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from tunewright.objectives._soft import soft
from tunewright.train.context import Context
from tunewright.train.step import Piece, Step

RANGE = (0.0, 0.9)
KINDS = ("classify", "multilabel")


def wrap(step: Step, strength: float, context: Context) -> Step:
    """strength : ε, the share that is spread"""
    change = _classify if context.target.kind == "classify" else _multilabel

    def smoothed(model: nn.Module, piece: Piece) -> Tensor:
        def loss(logits: Tensor, truth: Tensor) -> Tensor:
            shares = soft(truth, logits.shape[-1])
            return piece.loss(logits, truth) + strength * change(logits, shares)

        return step(model, replace(piece, loss=loss))

    return smoothed


def _classify(logits: Tensor, shares: Tensor) -> Tensor:
    return (shares * logits).sum(-1) - logits.mean(-1)


def _multilabel(logits: Tensor, shares: Tensor) -> Tensor:
    return ((shares - 0.5) * logits).sum(-1)
