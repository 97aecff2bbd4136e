"""One number per row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array, Windows
from tunewright.kinds._pooled import mean_of_windows


@dataclass(frozen=True)
class Value:
    """The number of one row; none where ``reason`` says why."""

    value: float | None
    reason: str | None = None


@dataclass(frozen=True)
class Regress:
    """Truth and decided values are float64 (n,). Logits are (n, 1), in units of ``scale`` around ``mean``."""

    mean: float
    scale: float

    labels: ClassVar[tuple[str, ...]] = ()
    size: ClassVar[int] = 1
    closed_form: ClassVar[str | None] = "ridge"
    headline: ClassVar[tuple[str, ...]] = ("r2", "mae", "spearman")
    answer: ClassVar[type] = Value

    @classmethod
    def learn(cls, values: Sequence[Any], options: Mapping[str, Any]) -> Self:
        numbers = np.array(values, np.float64)
        spread = float(numbers.std())
        if not spread > 0:
            raise TunewrightError(f"every value of the target is {numbers[0]:g}", "add rows with other values")
        return cls(float(numbers.mean()), spread)

    @classmethod
    def load(cls, spec: Mapping[str, Any]) -> Self:
        return cls(float(spec["mean"]), float(spec["scale"]))

    def spec(self) -> dict[str, Any]:
        return {"labels": [], "mean": self.mean, "scale": self.scale}

    def encode(self, values: Sequence[Any]) -> NDArray[np.float64]:
        return np.array(values, np.float64)

    def spread(self, truth: Array, windows: Windows) -> Array:
        return truth[windows.owner]

    def gather(self, logits: Sequence[Array], windows: Windows) -> Array:
        return mean_of_windows(logits, windows, self.size)

    def calibrate(self, logits: Array, truth: Array) -> Self:
        """Nothing to calibrate: the answer is the number itself."""
        return self

    def proba(self, logits: Array) -> Array:
        raise TunewrightError("a regression has no probabilities", "use predict")

    def decide(self, logits: Array) -> NDArray[np.float64]:
        return self.mean + self.scale * logits[:, 0].astype(np.float64)

    def decode(self, logits: Array, top: int = 0) -> list[Value]:
        return [Value(value) for value in self.decide(logits).tolist()]

    def empty(self, reason: str) -> Value:
        return Value(None, reason)

    def columns(self, answers: Sequence[Value]) -> dict[str, list[Any]]:
        return {"prediction": [answer.value for answer in answers]}

    def row_score(self, logits: Array, truth: Array) -> NDArray[np.float64]:
        """Minus the squared error in units of the training spread."""
        return -(((self.decide(logits) - truth) / self.scale) ** 2)

    def metrics(self, decided: Array, truth: Array) -> dict[str, float]:
        """r2 (1 - squared error over variance), mae, rmse, spearman (rank correlation, ties by mean rank)."""
        if not len(truth):
            return {"r2": 0.0, "mae": 0.0, "rmse": 0.0, "spearman": 0.0}
        errors = decided - truth
        spread = float(((truth - truth.mean()) ** 2).sum())
        return {
            "r2": 1 - float((errors**2).sum()) / spread if spread > 0 else 0.0,
            "mae": float(np.abs(errors).mean()),
            "rmse": float(np.sqrt((errors**2).mean())),
            "spearman": rank_correlation(decided, truth),
        }


def rank_correlation(one: Array, other: Array) -> float:
    """Spearman's rho.

    >>> round(rank_correlation(np.array([1., 2., 3.]), np.array([10., 30., 20.])), 3)
    0.5
    """
    first, second = mean_ranks(one), mean_ranks(other)
    first, second = first - first.mean(), second - second.mean()
    norm = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / norm if norm > 0 else 0.0


def mean_ranks(values: Array) -> NDArray[np.float64]:
    """Ranks from 0; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts + 1) / 2)[inverse], np.float64)
