"""Ways to weigh the pieces of a text: which variants are asked for, and what their answers say of each piece.

A way is a file's worth of two functions: ``draw(p, seed)`` gives bool (v, p), the pieces that each variant keeps (the
first one keeps all), and ``weigh(kept, scores)`` makes weights (p,) of the answers (v,).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Kept = NDArray[np.bool_]
Floats = NDArray[np.float64]

SAMPLES = 500
"""Variants of LIME. Where a text has no more subsets than this (8 pieces), each is asked once."""
KERNEL_WIDTH = 0.25
"""Of LIME, in cosine distance; the paper's own code has the same (25 on distances of 0 to 100)."""
RIDGE = 0.001
"""Of LIME: the penalty, as a share of the sum of the kernel's weights."""


@dataclass(frozen=True)
class Way:
    """draw, weigh : see above; ``weigh`` also gives how well its picture holds (R²), or None."""

    draw: Callable[[int, int], Kept]
    weigh: Callable[[Kept, Floats], tuple[Floats, float | None]]


def one_by_one(pieces: int, seed: int) -> Kept:
    """bool (p + 1, p): all, then each piece left out alone; nothing is put in its place.

    >>> one_by_one(2, 0).astype(int).tolist()
    [[1, 1], [0, 1], [1, 0]]
    """
    return np.concatenate([np.ones((1, pieces), bool), ~np.eye(pieces, dtype=bool)])


def differences(kept: Kept, scores: Floats) -> tuple[Floats, None]:
    """What is lost without each piece: score of the whole minus score without it.

    Source: Zeiler and Fergus 2014, Visualizing and Understanding Convolutional Networks (occlusion); for words
    Li, Monroe and Jurafsky 2016, Understanding Neural Networks through Representation Erasure.
    """
    return scores[0] - scores[1:], None


def subsets(pieces: int, seed: int) -> Kept:
    """bool (v, p): all, then random subsets: how many are left out is drawn evenly from 1 to p, then which ones."""
    if 2**pieces <= SAMPLES:
        bits = np.arange(2**pieces - 1, -1, -1)
        return (bits[:, None] >> np.arange(pieces) & 1).astype(bool)
    draw = np.random.default_rng(seed)
    left_out = draw.integers(1, pieces + 1, SAMPLES - 1)
    rank = draw.random((SAMPLES - 1, pieces)).argsort(1).argsort(1)
    return np.concatenate([np.ones((1, pieces), bool), rank >= left_out[:, None]])


def linear(kept: Kept, scores: Floats) -> tuple[Floats, float]:
    """Coefficients of a weighted ridge regression on which pieces are there, in closed form, and its weighted R².

    A variant weighs exp(-d² / (2 · 0.25²)), d being its cosine distance to the whole text. R² near 1: the text's
    answers are those of a sum over its pieces; near 0: no sum of weights describes them.

    Source: Ribeiro, Singh and Guestrin 2016, "Why Should I Trust You?" Explaining the Predictions of Any Classifier.
    """
    weights = kernel(kept)
    total = weights.sum()
    x, y = kept - weights @ kept / total, scores - weights @ scores / total
    normal = (x * weights[:, None]).T @ x + RIDGE * total * np.eye(kept.shape[1])
    found = np.linalg.solve(normal, x.T @ (weights * y))
    spread, rest = float(weights @ y**2), float(weights @ (y - x @ found) ** 2)
    varies = spread > 1e-20 * float(weights @ scores**2)  # more than rounding
    return found, 1 - rest / spread if varies else 1.0


def kernel(kept: Kept) -> Floats:
    """float64 (v,): what each variant weighs by its nearness to the whole text."""
    distance = 1 - np.sqrt(kept.mean(1))
    return np.asarray(np.exp(-(distance**2) / (2 * KERNEL_WIDTH**2)))


WAYS = {"occlusion": Way(one_by_one, differences), "lime": Way(subsets, linear)}
