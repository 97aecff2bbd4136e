"""Rows of a part as the training side needs them: raw, and encoded as windows with their truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunewright.core.types import Array, Kind, Modality, Ragged, Windows

Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Part:
    """Rows of one part as the training side needs them.

    inputs : input column → n raw values; truth : n raw values of the target, or tuples with one of each target
    groups : of each row, where the task names groups; weights : (n,), how much each row counts; None = all alike
    """

    inputs: Columns
    truth: Sequence[Any]
    groups: Sequence[str] = ()
    weights: Array | None = None

    def take(self, index: Sequence[int]) -> Part:
        """The rows at ``index``, in that order."""
        inputs = {column: [values[at] for at in index] for column, values in self.inputs.items()}
        groups = [self.groups[at] for at in index] if len(self.groups) else ()
        weights = self.weights[np.asarray(index, np.int64)] if self.weights is not None else None
        return Part(inputs, [self.truth[at] for at in index], groups, weights)

    def joined(self, other: Part) -> Part:
        """The rows of both, one after the other."""
        inputs = {column: [*values, *other.inputs[column]] for column, values in self.inputs.items()}
        groups = [*self.groups, *other.groups]
        return Part(inputs, [*self.truth, *other.truth], groups, both_weights(self.weights, other.weights))


@dataclass(frozen=True)
class Examples:
    """One part, encoded: n rows as m windows with their truth.

    wanted : the truth of the m windows, or of their steps
    weights : (n,), how much each row counts; None = all alike
    """

    windows: Windows
    truth: Array
    wanted: Array | Ragged
    weights: Array | None = None

    def __len__(self) -> int:
        return self.windows.rows


def encode(part: Part, columns: Sequence[str], modality: Modality, kind: Kind) -> Examples:
    """Windows and truth of one part."""
    windows = modality.windows([part.inputs[column] for column in columns])
    truth = kind.encode(part.truth)
    return Examples(windows, truth, kind.spread(truth, windows), part.weights)


def both_weights(one: Array | None, other: Array | None) -> Array | None:
    """Of the rows of two parts, one after the other."""
    return np.concatenate([one, other]) if one is not None and other is not None else None
