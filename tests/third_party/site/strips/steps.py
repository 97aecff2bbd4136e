"""One label per step: per frame of a strip, per word of a text. A cell holds the labels with spaces between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tunewright.core.errors import TunewrightError, nearest
from tunewright.core.types import Array, Ragged, Windows

NO_TRUTH = -100


@dataclass(frozen=True)
class StepLabels:
    """The label of each step and its probability; none where ``reason`` says why."""

    labels: list[str] | None
    scores: list[float] | None
    reason: str | None = None


@dataclass(frozen=True)
class Steps:
    """Truth and decided values are object arrays (n,) of int64 (steps,), logits of float32 (steps, k)."""

    labels: tuple[str, ...]

    closed_form: ClassVar[str | None] = None
    headline: ClassVar[tuple[str, ...]] = ("step_accuracy", "exact_match")
    answer: ClassVar[type] = StepLabels

    @classmethod
    def learn(cls, values: Sequence[Any], options: Mapping[str, Any]) -> Self:
        return cls(tuple(options.get("labels") or sorted({label for value in values for label in value.split()})))

    @classmethod
    def load(cls, spec: Mapping[str, Any]) -> Self:
        return cls(tuple(spec["labels"]))

    def spec(self) -> dict[str, Any]:
        return {"labels": list(self.labels)}

    @property
    def size(self) -> int:
        return len(self.labels)

    def encode(self, values: Sequence[Any]) -> Array:
        position = {label: at for at, label in enumerate(self.labels)}
        for label in {label for value in values for label in value.split()} - set(position):
            raise TunewrightError(f"label {label!r} is unknown to this task", nearest(label, self.labels))
        return _objects([np.array([position[label] for label in value.split()], np.int64) for value in values])

    def spread(self, truth: Array, windows: Windows) -> Ragged:
        """A step is a word's first token where the modality has spans; its other tokens have no truth."""
        out, taken = [], np.zeros(windows.rows, np.int64)
        for row, steps, cost in zip(windows.owner.tolist(), steps_of(windows), windows.cost.tolist(), strict=True):
            window = np.full(cost, NO_TRUTH, np.int64)
            labels = truth[row][taken[row] : taken[row] + len(steps)]
            window[steps[: len(labels)]] = labels
            taken[row] += len(steps)
            out.append(window)
        for row, steps in enumerate(taken.tolist()):
            if steps != len(truth[row]):
                problem = f"row {row} has {steps} steps and {len(truth[row])} labels"
                raise TunewrightError(problem, "write one label for each step")
        return Ragged.of(out, np.int64)

    def gather(self, logits: Sequence[Array], windows: Windows) -> Array:
        rows: list[list[Array]] = [[] for _ in range(windows.rows)]
        for row, steps, window in zip(windows.owner.tolist(), steps_of(windows), logits, strict=True):
            rows[row].append(window[steps])
        return _objects([np.concatenate(windows) for windows in rows])

    def calibrate(self, logits: Array, truth: Array) -> Self:
        return self

    def proba(self, logits: Array) -> Array:
        shifted = [np.exp(row.astype(np.float64) - row.max(-1, keepdims=True)) for row in logits]
        return _objects([row / row.sum(-1, keepdims=True) for row in shifted])

    def decide(self, logits: Array) -> Array:
        return _objects([row.argmax(-1) for row in logits])

    def decode(self, logits: Array, top: int = 0) -> list[StepLabels]:
        return [
            StepLabels([self.labels[at] for at in row.argmax(-1).tolist()], row.max(-1).tolist())
            for row in self.proba(logits)
        ]

    def empty(self, reason: str) -> StepLabels:
        return StepLabels(None, None, reason)

    def columns(self, answers: Sequence[StepLabels]) -> dict[str, list[Any]]:
        return {"prediction": [None if one.labels is None else " ".join(one.labels) for one in answers]}

    def row_score(self, logits: Array, truth: Array) -> NDArray[np.float64]:
        """The share of a row's steps that are right."""
        return np.array([np.mean(one == other) for one, other in zip(self.decide(logits), truth, strict=True)])

    def metrics(self, decided: Array, truth: Array) -> dict[str, float]:
        """step_accuracy over all steps, exact_match over rows."""
        right = [one == other for one, other in zip(decided, truth, strict=True)]
        steps = np.concatenate(right) if right else np.zeros(0)
        return {"step_accuracy": float(steps.mean()), "exact_match": float(np.mean([row.all() for row in right]))}


def steps_of(windows: Windows) -> list[NDArray[np.int64]]:
    """Per window the positions of its steps; a word that goes on in the next window is counted once."""
    if windows.spans is None:
        return [np.arange(cost) for cost in windows.cost.tolist()]
    found, owner, end = [], -1, -1
    for row, spans in zip(windows.owner.tolist(), windows.spans, strict=True):
        if row != owner:
            owner, end = row, -1
        first = []
        for at, (start, stop) in enumerate(spans.tolist()):
            if stop > start:  # special tokens have (0, 0)
                if start > end:
                    first.append(at)
                end = stop
        found.append(np.array(first, np.int64))
    return found


def _objects(pieces: Sequence[Array]) -> Array:
    out = np.empty(len(pieces), object)
    for at, piece in enumerate(pieces):  # a plain assignment would make a matrix of pieces of one length
        out[at] = piece
    return out
