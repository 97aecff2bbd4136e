"""Pairs of rows of one class, drawn as they are needed, those of classes that are hard to tell apart together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunewright.core.types import Array, Modality, Windows
from tunewright.heads._pooled import Embed
from tunewright.objectives.supcon import contrast
from tunewright.train.feed import Feed

LEAST = 4
"""Pairs that are computed at once at the least: rows are told apart from those beside them."""
TEMPERATURE = 0.2
"""Chosen on other training rows of TREC, SST-2 and AG News; the objective ``supcon`` has its source's 0.1."""
BLOCK = 512


@dataclass(frozen=True, kw_only=True)
class Pairs(Feed):
    """Batches of windows, the first and second, third and fourth ... of which are of one class.

    wanted : int64 (m,), the class of each window
    chosen : int64 (c,), the windows that pairs are made of
    near : int64 (c, h), for each of these those of other classes that lie closest to it, as places in ``chosen``
    steps : batches of an epoch
    rows : windows of a batch, an even number
    room : how many times the tokens that a whole encoder has room for fit into memory
    """

    chosen: NDArray[np.int64]
    near: NDArray[np.int64]
    steps: int
    rows: int
    room: int = 1

    def __len__(self) -> int:
        return self.steps * min(self.rows, len(self.chosen))

    @property
    def whole(self) -> bool:
        """Whether a batch holds all windows: then each comes once and meets all others."""
        return len(self.chosen) <= self.rows

    def epoch(self, rows: int, draws: np.random.Generator) -> list[NDArray[np.int64]]:
        """All batches; every window is first of a pair once before any is so again."""
        if self.whole:
            return [self.chosen[draws.permutation(len(self.chosen))] for _ in range(self.steps)]
        times = math.ceil(len(self) / (2 * len(self.chosen)))
        firsts = np.concatenate([self._chained(draws) for _ in range(times)])[: len(self) // 2]
        pairs = self.chosen[np.stack([firsts, self._fellows(firsts, draws)], 1).reshape(-1)]
        return [pairs[start : start + rows] for start in range(0, len(pairs), rows)]

    def own(self, index: Array, rank: int, size: int) -> tuple[Array, float]:
        """Whole pairs (or rows, where all come at once); they are told apart from those of the same process alone."""
        if size == 1:
            return index, 1.0
        own = index[np.array_split(self._together(index), size)[rank].reshape(-1)]
        return own, self.part(own, index)

    def pieces(self, index: Array, budget: int) -> Iterator[tuple[Array, Array]]:
        """Whole pairs (or rows): pieces of like number, at least ``LEAST``, of about ``budget`` × room tokens."""
        weights = self.windows.share()[index]
        count = math.ceil(int(self.windows.cost[index].sum()) / (budget * self.room))
        for part in np.array_split(self._together(index), max(1, min(count, len(index) // 2 // LEAST))):
            piece = part.reshape(-1)
            yield index[piece], weights[piece] / weights.sum()

    def _together(self, index: Array) -> NDArray[np.int64]:
        """Places in a batch, those that must not be parted in one row."""
        return np.arange(len(index)).reshape(-1, 1 if self.whole else 2)

    def _chained(self, draws: np.random.Generator) -> NDArray[np.int64]:
        """All places in random order, each followed by those near it that did not have their turn yet."""
        out: list[int] = []
        left = set(range(len(self.near)))
        for first in draws.permutation(len(self.near)).tolist():
            if first in left:
                chain = [first, *(one for one in self.near[first].tolist() if one in left and one != first)]
                left.difference_update(chain)
                out += chain
        return np.array(out)

    def _fellows(self, firsts: NDArray[np.int64], draws: np.random.Generator) -> NDArray[np.int64]:
        """For each place another one of its class; itself where there is none."""
        truth = np.asarray(self.wanted)[self.chosen]
        order = np.argsort(truth, kind="stable")
        begin = np.searchsorted(truth[order], truth, side="left")
        size = np.searchsorted(truth[order], truth, side="right") - begin
        inside = np.argsort(order) - begin
        step = 1 + (draws.random(len(firsts)) * (size[firsts] - 1)).astype(np.int64)
        fellows: NDArray[np.int64] = order[begin[firsts] + (inside[firsts] + step) % size[firsts]]
        return fellows


def cropped(modality: Modality, least: int) -> Callable[[Windows, Array], dict[str, Array]]:
    """The ``batch`` of a modality which shows another part of a long window each time, where the modality has parts.

    least : what a window costs that is shown whole
    """
    crop = getattr(modality, "crop", None)
    if crop is None:
        return modality.batch

    def batch(windows: Windows, index: Array) -> dict[str, Array]:
        draws = torch.rand(len(index), 2, dtype=torch.float64).numpy()  # by torch: a checkpoint holds where it stands
        return modality.batch(crop(windows, index, least, draws), np.arange(len(index)))

    return batch


def nearest_others(vectors: NDArray[np.float32], truth: Array, count: int) -> NDArray[np.int64]:
    """int64 (m, count): for each of m vectors of length 1 those of other classes with the largest cosine.

    Where other classes have fewer, the vector itself fills the row. No more than ``BLOCK`` × m cosines exist at once.
    """
    out = np.repeat(np.arange(len(vectors))[:, None], count, 1)
    for start in range(0, len(vectors), BLOCK):
        cosines = vectors[start : start + BLOCK] @ vectors.T
        cosines[truth[start : start + BLOCK, None] == truth] = -np.inf
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
        found = np.take_along_axis(cosines, best, 1) > -np.inf
        np.copyto(out[start : start + BLOCK, : best.shape[1]], best, where=found)
    return out


class Contrast(Embed):
    """Embeddings with the loss that draws those of a class together. Source: Khosla et al. 2020."""

    @staticmethod
    def loss(vectors: Tensor, truth: Tensor) -> Tensor:
        """vectors (b, d) of length 1, truth int64 (b,) → loss of each row (b,)"""
        return contrast(vectors, truth, TEMPERATURE)
