"""The training rows that a closed form learns from: all of them, or as many as there is time to embed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tunewright.heads._pooled import Embed
from tunewright.train.examples import Examples
from tunewright.train.outputs import frozen

if TYPE_CHECKING:
    from tunewright.train.context import Context

FEW_ROWS = 20_000
"""Rows that are embedded in any case."""
TIMED_ROWS = 512
SHARE = 0.5
"""Of the time that is left, what embedding more rows than that may take."""


def affordable(context: Context) -> Examples:
    """The rows; drawn by the seed where all of them would take too long, which is said."""
    rows, run = len(context.train), context.run
    if rows <= FEW_ROWS or context.pool is not None or context.task.privacy.epsilon:
        return context.train
    most = max(FEW_ROWS, int(rows * SHARE * run.left / _pass_seconds(context)))
    if most >= rows:
        return context.train
    run.log("rows", say=f"embedding {most:,} rows drawn from {rows:,}: all of them would take most of the time")
    return _some(context, most)


def _some(context: Context, count: int) -> Examples:
    """So many of the training rows, drawn by the seed, in the order that they have."""
    every = context.train
    drawn = np.sort(np.random.default_rng(context.task.seed).permutation(len(every))[:count])
    windows, truth = every.windows.take_rows(drawn), every.truth[drawn]
    weights = None if every.weights is None else every.weights[drawn]
    return Examples(windows, truth, context.kind.spread(truth, windows), weights)


def _pass_seconds(context: Context) -> float:
    """What the frozen encoder takes for all training rows, by some of them."""
    windows, backbone, begun = _some(context, TIMED_ROWS).windows, context.backbone, context.run.elapsed
    frozen(backbone.encoder, Embed(backbone.pooling), backbone.modality, windows, context.device, bf16=context.bf16)
    share = float(windows.cost.sum()) / max(1.0, float(context.train.windows.cost.sum()))
    return (context.run.elapsed - begun) / max(share, 1e-9) or 1e-9
