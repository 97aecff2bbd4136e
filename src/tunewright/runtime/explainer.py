"""What explains and what is explained: a model that can be asked, and a way to weigh that brings its own means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tunewright.core.types import Array, Kind
from tunewright.runtime.pieces import Cut

Floats = NDArray[np.float64]


class Inputs(Protocol):
    """What a manifest says of a model's inputs."""

    @property
    def inputs(self) -> Mapping[str, str]:
        """Column → modality."""
        ...


class Asked(Protocol):
    """What is explained: anything that answers like a loaded bundle."""

    @property
    def manifest(self) -> Inputs: ...

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """Target → its kind."""
        ...

    def logits_of(self, columns: Sequence[Sequence[Any]], targets: Sequence[str] | None = None) -> dict[str, Array]: ...


@dataclass(frozen=True)
class Weighed:
    """What the p pieces of a row speak for k labels.

    weights : float64 (p, k)
    base : float64 (k,), the scores that the weights are added to
    asked : how many variants of the row were computed
    """

    weights: Floats
    base: Floats
    asked: int


@dataclass(frozen=True)
class Explainer:
    """A way to explain that brings its own means, beside those in ``ways.py``: Shapley values, gradients.

    name : how it is called
    cost : (pieces) → how many variants of a text its work is about as much as
    weigh : (model, row, target, positions of the explained labels, seed) → what each piece speaks for them
    """

    name: str
    cost: Callable[[int], float]
    weigh: Callable[[Asked, Cut, str, Sequence[int], int], Weighed]
