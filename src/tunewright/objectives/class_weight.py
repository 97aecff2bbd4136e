"""Class weights: rows of rare classes weigh more. Weight of class c: (n / (k n_c))^strength, over the mean of all rows.

n rows, k classes, n_c rows of class c, as they are drawn (an oversampled class counts as often as it comes). With
strength 1 every class has the same share in the loss: the heuristic of King and Zeng 2001. The mean over the training
rows is 1, so the size of a step stays what it was.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tunewright.core.types import Array
from tunewright.objectives._soft import soft
from tunewright.train.context import Context
from tunewright.train.repeats import repeats
from tunewright.train.step import Piece, Step

RANGE = (0.0, 2.0)
KINDS = ("classify",)


def wrap(step: Step, strength: float, context: Context) -> Step:
    """strength : 0 = all rows alike, 1 = all classes alike"""
    truth = context.kind.encode(context.parts["train"].truth)
    drawn = repeats(truth, context.kind.size, context.task.fit.oversample, context.task.seed)
    weights = torch.from_numpy(of_classes(truth, drawn, context.kind.size, strength)).to(torch.float32)

    def weighted(model: nn.Module, piece: Piece) -> Tensor:
        shares = soft(piece.truth, len(weights))
        factor = (shares * weights.to(shares.device)).sum(-1)
        return step(model, replace(piece, weights=piece.weights * factor))

    return weighted


def of_classes(truth: Array, drawn: Array, size: int, strength: float) -> NDArray[np.float64]:
    """Weights (k,) of classes that are seen ``drawn`` times per row; a class without rows has weight 0.

    >>> of_classes(np.array([0, 0, 0, 1]), np.ones(4), 2, 1.0).round(3).tolist()
    [0.667, 2.0]
    """
    counts = np.bincount(truth, weights=drawn, minlength=size)
    seen = np.maximum(counts, 1)
    raw = np.where(counts > 0, (counts.sum() / ((counts > 0).sum() * seen)) ** strength, 0.0)
    return np.asarray(raw * counts.sum() / (raw * counts).sum())
