"""Out of scope: how strange a row is to a model, by one of five detectors, and from where on it is turned away.

All that serving needs is numpy: means and a projection, or a draw of training vectors, in one file beside the graphs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tunewright.core.types import Array, Kind

BY_LOGITS = ("probability", "energy")
BY_VECTORS = ("nearest", "mahalanobis", "combined")
DETECTORS = BY_LOGITS + BY_VECTORS
FLOORS = (1e-6, 1e-3)
"""What is added to both values of ``combined`` before their logarithm."""
KEPT = ("quadratic", "linear", "offset")
"""Of ``mahalanobis``: x' quadratic x - 2 linear x + offset is the difference of both distances, for each class."""


def strangeness(
    detector: str, kind: Kind, logits: Array, vectors: Array | None, arrays: Mapping[str, Array]
) -> NDArray[np.float64]:
    """float64 (n,), higher is stranger.

    Parameters
    ----------
    detector : ``probability`` = 1 - the best label's; ``energy`` = -ln Σ exp of the logits; ``nearest`` = 1 - cosine to
        the nearest of the kept vectors; ``mahalanobis`` = squared distance to the nearest class, less that to
        all rows; ``combined`` = the logarithms of ``probability`` and ``nearest``, each in units of its spread, added
    logits : (n, k); vectors : float32 (n, d), of length 1; what the detector does not look at may be None
    arrays : of ``nearest``: ``rows`` (m, d); of ``combined`` also ``spread`` (2, 2); of ``mahalanobis``: ``quadratic``
        (d, d), ``linear`` (k, d), ``offset`` (k,)

    Source: Hendrycks & Gimpel 2017 (ICLR); Liu et al. 2020, Energy-based Out-of-distribution Detection; Sun et al.
    2022, Out-of-Distribution Detection with Deep Nearest Neighbors; Ren et al. 2021, A Simple Fix to Mahalanobis
    Distance.
    """
    if detector == "probability":
        return np.asarray(1 - kind.proba(logits).max(-1))
    if detector == "energy":
        return np.asarray(-np.logaddexp.reduce(logits.astype(np.float64), axis=-1))
    assert vectors is not None
    if detector == "mahalanobis":
        return _to_classes(vectors, arrays)
    if detector == "nearest":
        return _to_rows(vectors, arrays["rows"])
    middle, width = arrays["spread"].astype(np.float64).T
    return np.asarray(((logarithms(kind, logits, vectors, arrays["rows"]) - middle) / width).sum(1))


def logarithms(kind: Kind, logits: Array, vectors: Array, rows: Array) -> NDArray[np.float64]:
    """float64 (n, 2): of what ``probability`` and ``nearest`` give, both kept off 0."""
    each = 1 - kind.proba(logits).max(-1), _to_rows(vectors, rows)
    return np.stack([np.log(np.maximum(one, 0) + floor) for one, floor in zip(each, FLOORS, strict=True)], 1)


def _to_rows(vectors: Array, rows: Array) -> NDArray[np.float64]:
    cosines = np.asarray(vectors, np.float32) @ np.asarray(rows, np.float32).T
    return np.asarray(1 - cosines.max(1), np.float64)


def _to_classes(vectors: Array, arrays: Mapping[str, Array]) -> NDArray[np.float64]:
    own, (quadratic, linear, offset) = vectors.astype(np.float64), (arrays[name] for name in KEPT)
    return np.asarray(((own @ quadratic) * own).sum(1) + (offset - 2 * own @ linear.T).min(1))


@dataclass(frozen=True)
class Scope:
    """A detector with the strangeness above which a row is turned away."""

    detector: str
    threshold: float
    arrays: Mapping[str, Array] = field(default_factory=dict)

    @classmethod
    def load(cls, told: Mapping[str, Any], folder: Path) -> Self:
        """From a kind's spec and the bundle's folder; arrays in the form that they are computed in.

        Turned at each row, 2,000 vectors of 16 bits take as long as the encoder does: 1.4 ms instead of 0.05.
        """
        file = told.get("file")
        stored: Mapping[str, Array] = np.load(folder / file, allow_pickle=False) if file else {}
        arrays = {name: one.astype(np.float64 if name in KEPT else np.float32) for name, one in stored.items()}
        return cls(told["detector"], float(told["threshold"]), arrays)

    @property
    def by_vectors(self) -> bool:
        """Whether it looks at the embedding."""
        return self.detector in BY_VECTORS

    def strangeness(self, kind: Kind, logits: Array, vectors: Array | None) -> NDArray[np.float64]:
        """float64 (n,); see the function of this name."""
        return strangeness(self.detector, kind, logits, vectors, self.arrays)

    def outside(self, kind: Kind, logits: Array, vectors: Array | None) -> NDArray[np.bool_]:
        """bool (n,): the rows that are turned away."""
        return np.asarray(self.strangeness(kind, logits, vectors) > self.threshold)
