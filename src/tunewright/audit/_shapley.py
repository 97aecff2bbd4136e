"""Shapley values of a row's pieces, by the partition explainer of shap: pieces that are neighbours are halved in turn.

Definition: a piece's share of what the model says more of the whole text than of none of it. The pieces stand in a
balanced tree of neighbours; the shares are Owen values, which are Shapley values with such groups, and the same where
the model is a sum over pieces.

Source: Lundberg and Lee 2017, A Unified Approach to Interpreting Model Predictions; Owen 1977, Values of games with a
priori unions.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.runtime.explain import scores
from tunewright.runtime.explainer import Asked, Explainer, Weighed
from tunewright.runtime.pieces import Cut

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it loads a library of plots, which warns of its own names
    from shap.explainers import PartitionExplainer

MOST = 700
"""Variants of a text at the most: enough for the exact values of 32 pieces, which take 684. With more pieces, groups
whose halves differ least are not parted, and share alike."""
AT_ONCE = 64


def weigh(model: Asked, one: Cut, target: str, explained: Sequence[int], seed: int) -> Weighed:
    """Owen values of the pieces, for each explained label."""
    asked = 0

    def answers(kept: Any) -> NDArray[np.float64]:
        nonlocal asked
        asked += len(kept)
        logits = model.logits_of(one.without(np.asarray(kept, bool)), [target])[target]
        return scores(model.kinds[target], logits)[:, list(explained)]

    pieces = len(one.pieces)
    with _drawn_by(seed):
        explainer = PartitionExplainer(answers, Kept(pieces))
        told = explainer(np.zeros((1, pieces)), max_evals=MOST, batch_size=AT_ONCE, silent=True)
    return Weighed(np.asarray(told.values[0], np.float64), np.asarray(told.base_values[0], np.float64), asked)


class Kept:
    """The masker: a variant is which pieces it keeps, so that the model is asked for texts by ``Cut`` alone.

    clustering : float64 (p - 1, 4), the tree as scipy lays it out: two children, a distance, how many pieces
    """

    immutable_outputs = True

    def __init__(self, pieces: int) -> None:
        self.shape = (1, pieces)
        self.clustering = halves(pieces)

    def __call__(self, kept: Any, row: Any) -> Any:
        """One variant: bool (1, p)."""
        return kept[None]


def halves(pieces: int) -> NDArray[np.float64]:
    """float64 (p - 1, 4): the tree in which every run of pieces is cut in the middle.

    >>> halves(3)[:, [0, 1, 3]].astype(int).tolist()
    [[0, 1, 2], [3, 2, 3]]
    """
    joined: list[tuple[int, int, int, int]] = []

    def node(start: int, stop: int) -> int:
        if stop - start == 1:
            return start
        middle = (start + stop + 1) // 2
        joined.append((node(start, middle), node(middle, stop), stop - start, stop - start))
        return pieces + len(joined) - 1

    node(0, pieces)
    return np.array(joined, np.float64).reshape(-1, 4)


def cost(pieces: int) -> float:
    """In variants; they hold half of the text on the average."""
    return min(MOST, 2 + 2 / 3 * pieces**2) / 2


@contextmanager
def _drawn_by(seed: int) -> Iterator[None]:
    """The library draws from numpy's one generator where two groups count alike."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)


SHAP = Explainer("shap", cost, weigh)
