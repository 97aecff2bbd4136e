"""Conformal risk control for any number of labels: which are said, which stay open and which are left out.

Two losses of a row are held to one stated rate, each on the average over rows like the held-out ones: the share of its
true labels that are left out, and the share of wrong labels among those that are said. Both grow with one limit on the
probability. The second one by itself may fall again as more labels are said, so that its largest value so far counts.

Source: Angelopoulos, Bates, Fisch, Lei & Schuster 2022, Conformal Risk Control (the false negative rate of several
labels; losses that are not monotone); for each label alone Vovk et al. 2005 (class-conditional conformal prediction).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tunewright.core.types import Array
from tunewright.kinds._promise import Scores, checked, named

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class LabelPromise:
    """What the answers of a bundle rest on.

    left_out : scores 1 - p of true labels, of the rows that have any; or one entry for each label
    wrong : scores p of the labels at which the share of wrong ones grows
    error : each of the two rates; 0 = every label is decided
    """

    left_out: tuple[Scores, ...]
    wrong: Scores
    error: float = 0.0

    @classmethod
    def of(cls, proba: Array, truth: Array, error: float, *, per_class: bool) -> Self:
        """From held-out rows: proba (n, k), truth uint8 (n, k)."""
        rates, counts = named(error), truth.sum(1, dtype=np.int64)
        if per_class:
            left = [Scores.of(1 - proba[truth[:, at] > 0, at], rates) for at in range(proba.shape[1])]
        else:
            rows, _ = np.nonzero(truth)
            left = [Scores.weighed(1 - proba[truth > 0], 1 / counts[rows], int((counts > 0).sum()), rates)]
        ranked, growth = _wrong_shares(proba, truth)
        grows = growth > 0
        return cls(tuple(left), Scores.weighed(ranked[grows], growth[grows], len(proba), rates), error)

    @classmethod
    def load(cls, spec: Mapping[str, Any]) -> Self:
        """From what ``spec`` told."""
        left = tuple(Scores.load(one) for one in spec["left_out"])
        return cls(left, Scores.load(spec["wrong"]), float(spec["error"]))

    def spec(self) -> dict[str, Any]:
        """JSON values."""
        return {"error": self.error, "left_out": [one.spec() for one in self.left_out], "wrong": self.wrong.spec()}

    def at(self, error: float) -> Self:
        """The same at another rate; an error where that is no rate that can be promised."""
        return replace(self, error=checked(error))

    def parted(self, proba: Array) -> tuple[Bools, Bools]:
        """bool (n, k), twice: the labels that are said, and those that stay open; the others are left out.

        Where a good model leaves nothing open, one cut decides: the one nearest to 0.5 that keeps both rates.
        """
        limits = np.array([one.limit(self.error) for one in self.left_out])
        cut = max(self.wrong.limit(self.error), min(0.5, 1 - float(limits.max())))
        said: Bools = proba > cut
        return said, (1 - proba <= limits) & ~said


def _wrong_shares(proba: Array, truth: Array) -> tuple[Array, Array]:
    """(n, k), twice: probabilities of each row from the largest on, and by how much the share of wrong labels grows."""
    order = np.argsort(-proba, axis=1, kind="stable")
    wrong = np.cumsum(np.take_along_axis(truth, order, 1) == 0, axis=1) / np.arange(1, proba.shape[1] + 1)
    largest = np.maximum.accumulate(wrong, axis=1)
    return np.take_along_axis(proba, order, 1), np.diff(largest, axis=1, prepend=0.0)
