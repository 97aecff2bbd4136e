"""What the segments of the line hand to each other: windows of arrays, findings, and the roles that plugins fill.

One alphabet of shapes: n rows, m windows, t tokens (or patches, frames), d width, k classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Ragged:
    """Arrays of different first lengths, laid end to end.

    values : (sum of lengths, ...); starts : int64 (m + 1,)
    """

    values: Array
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, pieces: Sequence[Any], dtype: Any = np.int32) -> Self:
        """Lay sequences end to end.

        >>> Ragged.of([[1, 2], [3]]).lengths.tolist()
        [2, 1]
        """
        starts = np.zeros(len(pieces) + 1, np.int64)
        np.cumsum([len(piece) for piece in pieces], out=starts[1:])
        filled = [np.asarray(piece, dtype) for piece in pieces if len(piece)]
        values = np.concatenate(filled) if filled else np.zeros(0, dtype)
        return cls(values, starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, at: int) -> Array:
        return self.values[self.starts[at] : self.starts[at + 1]]

    def __iter__(self) -> Iterator[Array]:
        return (self[at] for at in range(len(self)))

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.starts)

    def take(self, index: Array, axis: int = 0) -> Ragged:
        """The pieces at ``index``, in that order (``axis`` is 0, as in numpy's ``take``)."""
        lengths = self.lengths[index]
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        inside = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths)
        return Ragged(self.values[np.repeat(self.starts[:-1][index], lengths) + inside], starts)

    def padded(self, index: Array, fill: float = 0) -> tuple[Array, NDArray[np.bool_]]:
        """The pieces at ``index`` as one rectangle.

        Returns
        -------
        values : (b, t, ...), short pieces filled with ``fill``
        mask : bool (b, t), true where there is a value
        """
        if len(index) == 1:  # one text at a time waits for this, and has nothing to pad
            values = self[int(index[0])][None].copy()
            return values, np.ones(values.shape[:2], np.bool_)
        lengths = self.lengths[index]
        width = int(lengths.max(initial=0))
        mask = np.arange(width) < lengths[:, None]
        out = np.full((len(index), width, *self.values.shape[1:]), fill, self.values.dtype)
        offsets = self.starts[:-1][index][:, None] + np.arange(width)
        out[mask] = self.values[offsets[mask]]
        return out, mask


@dataclass(frozen=True)
class Windows:
    """What a modality makes of n rows: m ≥ n windows, each short enough for the encoder.

    rows : n
    owner : int64 (m,), the row that each window came from, in rising order; every row owns at least one
    cost : int64 (m,), what a window costs: tokens, pixels, frames
    data : what the modality's ``batch`` reads, each of length m
    spans : character offsets int32 (t, 2) of each window's steps in its row, where a modality has them
    """

    rows: int
    owner: NDArray[np.int64]
    cost: NDArray[np.int64]
    data: Mapping[str, Ragged | Array]
    spans: Ragged | None = None

    def __len__(self) -> int:
        return len(self.owner)

    def share(self) -> NDArray[np.float64]:
        """float64 (m,): the part that each window has in its row, by cost; the parts of a row sum to 1."""
        return self._share

    def of_rows(self, rows: Array) -> NDArray[np.int64]:
        """int64: the windows that these rows own, row after row."""
        if len(self) == self.rows:
            return np.asarray(rows, np.int64)
        first, last = (np.searchsorted(self.owner, rows, side) for side in ("left", "right"))
        lengths = last - first
        inside = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return np.asarray(np.repeat(first, lengths) + inside, np.int64)

    def take_rows(self, rows: Array) -> Windows:
        """The windows of these rows, in that order."""
        if len(rows) == self.rows and (self.rows == 1 or np.array_equal(rows, np.arange(self.rows))):
            return self
        index = self.of_rows(rows)
        data = {name: values.take(index, axis=0) for name, values in self.data.items()}
        spans = self.spans.take(index) if self.spans is not None else None
        owner = np.repeat(np.arange(len(rows)), np.bincount(self.owner, minlength=self.rows)[rows])
        return Windows(len(rows), owner, self.cost[index], data, spans)

    @cached_property
    def _share(self) -> NDArray[np.float64]:
        cost = np.maximum(self.cost, 1)  # an empty row may have a window without a single step
        return np.asarray(cost / np.bincount(self.owner, weights=cost, minlength=self.rows)[self.owner])


class Modality(Protocol):
    """How raw values become arrays, the same in training and in serving. One file of ``modalities/`` each."""

    axes: ClassVar[Mapping[str, tuple[str, ...]]]
    """The encoder's graph inputs with the names of their dimensions; the first dimension is always ``rows``."""

    # A modality may also name what its raw values are, such as ``reads = "text"`` for strings; see ``plugins.reads``.
    # And what its cost counts, such as ``unit = "tokens"``. One that can show parts of a window has ``crop``, as text.

    @classmethod
    def load(cls, settings: Mapping[str, Any], folder: Path) -> Self:
        """From what ``save`` returned and wrote."""
        ...

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the files that it needs into ``folder`` and return its settings as JSON values."""
        ...

    def windows(self, columns: Sequence[Sequence[Any]]) -> Windows:
        """Cut n rows, given as one sequence per input column, into windows."""
        ...

    def batch(self, windows: Windows, index: Array) -> dict[str, Array]:
        """The graph inputs of the windows at ``index``, padded to the longest of them."""
        ...


class Kind(Protocol):
    """What is predicted. One file of ``kinds/`` each; numpy only. Immutable: ``calibrate`` returns another one.

    ``truth`` and ``decided`` are arrays whose first axis is rows, in the kind's own coding.
    """

    headline: ClassVar[tuple[str, ...]]
    """Names of the metrics that stand first in a report; the first one is what methods are judged by."""
    answer: ClassVar[type]
    """A dataclass: the body of one answer. The service's schema and the output columns come from it."""

    @property
    def closed_form(self) -> str | None:
        """Which closed-form fit suits a linear head: ``logistic``, ``logistic_per_label``, ``ridge``, or None."""
        ...

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def size(self) -> int:
        """How many logits a row (or a token) has."""
        ...

    @classmethod
    def learn(cls, values: Sequence[Any], options: Mapping[str, Any]) -> Self:
        """From the target's values in the training rows."""
        ...

    @classmethod
    def load(cls, spec: Mapping[str, Any]) -> Self: ...

    def spec(self) -> dict[str, Any]:
        """JSON values: labels, thresholds, calibration; what ``load`` reads."""
        ...

    def encode(self, values: Sequence[Any]) -> Array:
        """Raw values → truth (n, ...)."""
        ...

    def spread(self, truth: Array, windows: Windows) -> Array | Ragged:
        """Truth of n rows → truth of m windows: one value each, or one per step (a step without truth has -100)."""
        ...

    def gather(self, logits: Sequence[Array], windows: Windows) -> Array:
        """Logits of m windows, one array per window → logits of n rows (an object array where lengths differ)."""
        ...

    def calibrate(self, logits: Array, truth: Array) -> Self:
        """A kind whose probabilities and thresholds fit held-out rows."""
        ...

    def proba(self, logits: Array) -> Array: ...

    def decide(self, logits: Array) -> Array:
        """The decided values, in the coding of truth."""
        ...

    def decode(self, logits: Array, top: int = 0) -> list[Any]:
        """One answer per row; ``top`` > 0 adds the best candidates."""
        ...

    def empty(self, reason: str) -> Any:
        """The answer that decides nothing, and why."""
        ...

    def columns(self, answers: Sequence[Any]) -> dict[str, list[Any]]:
        """Output columns of a file of answers; the first is ``prediction``."""
        ...

    def row_score(self, logits: Array, truth: Array) -> NDArray[np.float64]:
        """(n,): a statistic of each row, higher is better; its mean judges methods against each other."""
        ...

    def metrics(self, decided: Array, truth: Array) -> dict[str, float]:
        """Every metric of the kind on these rows; the bootstrap calls it on drawn rows."""
        ...


@dataclass(frozen=True)
class Exhibit:
    """Something to look at beside a finding: a table or a plot, as data.

    form : ``table`` (rows of cells under ``columns``), ``reliability``, ``curve`` or ``bars``
    private : it shows rows of the customer, so it lies beside the bundle and never in it
    """

    title: str
    form: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""
    private: bool = False


@dataclass(frozen=True)
class Finding:
    """One thing that an audit measured.

    value, low, high : the estimate and its 95 % interval (None where there is none)
    n : rows behind it
    limit, passed : the gate on it, if the task has one
    slice : which part of the rows; empty = all
    source : where the way of measuring comes from
    target : what it was measured of, where the task has several targets
    """

    audit: str
    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    limit: str | None = None
    passed: bool | None = None
    slice: str = ""
    source: str = ""
    note: str = ""
    exhibits: tuple[Exhibit, ...] = field(default=())
    target: str = ""

    @property
    def name(self) -> str:
        """The metric, after its target where the task has several: ``urgency.accuracy``."""
        return f"{self.target}.{self.metric}" if self.target else self.metric

    def record(self) -> dict[str, Any]:
        """JSON values, without the exhibits; ``target`` only where the task has several."""
        names = ("audit", "metric", "value", "low", "high", "n", "limit", "passed", "slice", "source", "note")
        return {name: getattr(self, name) for name in names} | ({"target": self.target} if self.target else {})
