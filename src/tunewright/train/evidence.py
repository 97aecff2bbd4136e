"""What two fitted methods are compared by: the scores of rows, pair by pair, and where labels have probabilities, their
log likelihood, which tells from far fewer rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from tunewright.core.types import Array
from tunewright.train.context import Context
from tunewright.train.fitted import Fitted

Z80 = 0.8416
"""Standard normal quantile of a one-sided 80 % bound."""
LOGISTIC = ("logistic", "logistic_per_label")
"""Closed forms of the kinds whose loss is a log likelihood."""
FOLDS = 5
"""Of rows that are answered by what was fitted on others: a factor here, the shares of a blend."""
SCALES = (1e-3, 1e3)
"""Between them lies what logits are multiplied by."""


Rows = NDArray[np.int64]
"""Places of rows."""
Loss = Callable[[Array, Array], Array]
"""(logits (n, k), truth) → the kind's loss of each row (n,)"""


@dataclass(frozen=True)
class Gain:
    """Mean gain of paired rows and its one-sided 80 % lower bound (normal approximation)."""

    mean: float
    low: float

    @classmethod
    def of(cls, after: Any, before: Any) -> Gain:
        gains = np.asarray(after, np.float64) - np.asarray(before, np.float64)
        error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.inf
        return cls(float(gains.mean()), float(gains.mean() - Z80 * error))

    @property
    def high(self) -> float:
        """The one-sided 80 % upper bound."""
        return 2 * self.mean - self.low


@dataclass(frozen=True)
class Evidence:
    """What one fitted method gains over another.

    score : of the mean row score of the kind
    likelihood : of the mean log likelihood; None where the kind has none
    """

    score: Gain
    likelihood: Gain | None = None

    @property
    def any(self) -> bool:
        """Whether it is better as far as one can see."""
        return self._better(proof=False)

    @property
    def sure(self) -> bool:
        """Whether it is better by more than chance."""
        return self._better(proof=True)

    def _better(self, *, proof: bool) -> bool:
        by = self.score if self.likelihood is None else self.likelihood
        return (by.low if proof else by.mean) > 0 and (by is self.score or self.score.high >= 0)


def compared(context: Context, fitted: Fitted, before: Fitted, *, by_score: bool = False) -> Evidence:
    """One beside another, by the validation rows, and by the training rows that both have answered by cross-validation.

    by_score : the likelihood is left out, for one of both was not trained for it
    """
    one, other = _answers(context, fitted, before), _answers(context, before, fitted)
    score = Gain.of(one.scores(context), other.scores(context))
    if by_score or context.kind.closed_form not in LOGISTIC:
        return Evidence(score)
    return Evidence(score, Gain.of(one.likelihoods(context), other.likelihoods(context)))


@dataclass(frozen=True)
class _Answers:
    """logits (n, k) and truth (n, ...) of the rows that tell."""

    logits: Array
    truth: Array

    def scores(self, context: Context) -> NDArray[np.float64]:
        return np.asarray(context.kind.row_score(self.logits, self.truth), np.float64)

    def likelihoods(self, context: Context) -> NDArray[np.float64]:
        """float64 (n,): log likelihood of each row, by logits times a factor that was fitted on other rows.

        A method that is too sure of itself is not worse for it: temperatures are fitted on all before a model ships.
        """
        loss, logits, out = row_loss(context), self.logits.astype(np.float64), np.zeros(len(self.truth))

        def scaled(factor: float, rows: Rows) -> Array:
            return loss(factor * logits[rows], self.truth[rows])

        for judged, others in apart(len(out), context.task.seed):
            out[judged] = -scaled(_least(scaled, others) if len(others) else 1.0, judged)
        return out


def row_loss(context: Context) -> Loss:
    """The kind's loss of each row."""
    of_rows: Any = context.new_head().to("cpu").loss

    def loss(logits: Array, truth: Array) -> Array:
        found: Array = of_rows(torch.from_numpy(logits), torch.from_numpy(truth)).detach().numpy()
        return found

    return loss


def apart(count: int, seed: int) -> Iterator[tuple[Rows, Rows]]:
    """Rows in folds: those of one, and all others, for each of them."""
    for judged in np.array_split(np.random.default_rng(seed).permutation(count), FOLDS):
        yield judged, np.setdiff1d(np.arange(count), judged)


def _least(losses: Callable[[float, Rows], Array], rows: Rows) -> float:
    """The factor of least mean loss of some rows."""
    bounds = tuple(np.log(SCALES))
    found = minimize_scalar(lambda x: losses(float(np.exp(x)), rows).mean(), bounds=bounds, method="bounded")
    return float(np.exp(found.x))


def _answers(context: Context, fitted: Fitted, other: Fitted) -> _Answers:
    kind = context.kind
    truth = kind.encode(context.parts["validation"].truth)
    own, its = fitted.crossed, other.crossed
    if own is None or its is None or not np.array_equal(own.rows, its.rows):
        return _Answers(fitted.judged, truth)
    values = context.parts["train"].truth
    of_train = kind.encode([values[row] for row in own.rows])
    return _Answers(np.concatenate([own.logits, fitted.judged]), np.concatenate([of_train, truth]))
