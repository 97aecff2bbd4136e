"""Questions answered together: bundles on one encoder share its pass, equal rows are computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tunewright.core.types import Array, Windows
from tunewright.runtime.encoder import Encoder, Head, Wanted


class Asked(Protocol):
    """A bundle on an encoder, as ``Predictor`` is."""

    @property
    def encoder(self) -> Encoder: ...

    def heads_for(self, targets: Sequence[str] | None, error: float | None) -> Mapping[str, Head]:
        """Part → head, of all that these answers need."""
        ...

    def answers_from(
        self,
        columns: Sequence[Sequence[Any]],
        windows: Windows,
        pieces: Mapping[str, Sequence[Array]],
        top: int,
        targets: Sequence[str] | None,
        error: float | None,
    ) -> dict[str, list[Any]]:
        """Target → one answer per row, from what the heads gave for the rows' windows."""
        ...


@dataclass(frozen=True)
class Question:
    """Rows for one bundle, as its ``answers`` takes them; columns in the order of its manifest."""

    predictor: Asked
    columns: Sequence[Sequence[Any]]
    top: int = 0
    targets: Sequence[str] | None = None
    error: float | None = None


class Pass:
    """Questions whose bundles stand on one encoder and read equally many columns, their rows cut into windows.

    cost : of all that will be computed, before padding

    Raises
    ------
    TunewrightError
        A row cannot be read, or a bundle cannot promise the rate of errors that is asked for.
    """

    def __init__(self, questions: Sequence[Question]) -> None:
        self._questions = questions
        self._heads = [one.predictor.heads_for(one.targets, one.error) for one in questions]
        self._encoder = questions[0].predictor.encoder
        assert all(one.predictor.encoder is self._encoder for one in questions), "they stand on several encoders"
        columns, self._rows = _distinct([one.columns for one in questions])
        self._windows = self._encoder.modality.windows(columns)
        self.cost = int(self._windows.cost.sum())

    def answers(self) -> list[dict[str, list[Any]]]:
        """Of each question: target → one answer per row."""
        found = self._encoder.run(self._windows, self._wanted())
        told = zip(self._questions, self._heads, self._rows, strict=True)
        return [self._answered(one, heads, rows, found) for one, heads, rows in told]

    def _wanted(self) -> dict[Head, Wanted]:
        """Head → whether each window is asked of it; None where a single question asks for all."""
        if len(self._questions) == 1:
            return dict.fromkeys(self._heads[0].values())
        out: dict[Head, Wanted] = {}
        for heads, rows in zip(self._heads, self._rows, strict=True):
            index = self._windows.of_rows(rows)
            for head in heads.values():
                asked = out.setdefault(head, np.zeros(len(self._windows), bool))
                assert asked is not None
                asked[index] = True
        return out

    def _answered(
        self, one: Question, heads: Mapping[str, Head], rows: NDArray[np.int64], found: Mapping[Head, list[Array]]
    ) -> dict[str, list[Any]]:
        index = self._windows.of_rows(rows).tolist()
        pieces = {part: [found[head][at] for at in index] for part, head in heads.items()}
        windows = self._windows.take_rows(rows)
        return one.predictor.answers_from(one.columns, windows, pieces, one.top, one.targets, one.error)


def _distinct(
    questions: Sequence[Sequence[Sequence[Any]]],
) -> tuple[list[list[Any]], list[NDArray[np.int64]]]:
    """Columns of rows that differ, and which of them each question's rows are."""
    places: dict[Any, int] = {}
    kept: list[tuple[Any, ...]] = []
    index = []
    for columns in questions:
        at = []
        for row in zip(*columns, strict=True):
            try:
                place = places.setdefault(row, len(kept))
            except TypeError:  # values that cannot be compared by a hash, such as lists of numbers
                place = len(kept)
            if place == len(kept):
                kept.append(row)
            at.append(place)
        index.append(np.array(at, np.int64))
    width = len(questions[0])
    return [[row[column] for row in kept] for column in range(width)], index
