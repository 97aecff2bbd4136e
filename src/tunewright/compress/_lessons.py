"""What a step that learns is given: rows, with labels or without, and what the bundle as it was answers to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.core.run import Listener
from tunewright.core.task import Task
from tunewright.core.types import Array, Kind
from tunewright.runtime.predictor import Predictor
from tunewright.train.examples import Part
from tunewright.train.outputs import of_rows

HELD_BACK = 0.1
"""Of the rows, for the choice of the best epoch and for the calibration."""
MOST_HELD_BACK = 1_000

Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Taught:
    """All rows to learn from: those with labels, then those without, which have the teacher's answers as labels.

    labelled : how many of them have labels of their own
    logits : target → float32 (n, k) of the teacher; vectors : float32 (n, d), its embeddings
    train, validation : int64, where the rows of both parts stand; those held back have labels, where any have
    """

    part: Part
    labelled: int
    kinds: Mapping[str, Kind]
    logits: Mapping[str, Array]
    vectors: NDArray[np.float32]
    train: NDArray[np.int64]
    validation: NDArray[np.int64]


@dataclass(frozen=True)
class Lessons:
    """Rows that a step may learn from.

    teacher : folder of the bundle as it was; task : how to train, its columns those of the rows
    labelled : may hold no row; unlabelled : input column → n values; student : what the user asked for, or nothing
    """

    teacher: Path
    task: Task
    labelled: Part
    unlabelled: Columns
    student: str
    listener: Listener

    @cached_property
    def taught(self) -> Taught:
        """What the teacher answers, asked once for all settings and steps."""
        predictor = Predictor.load(self.teacher, self.task.fit.threads)
        names = list(self.task.inputs)
        columns = {name: [*self.labelled.inputs.get(name, ()), *self.unlabelled.get(name, ())] for name in names}
        count = len(self.labelled.truth)
        self.listener(
            {"event": "compress", "seconds": 0.0, "say": f"the bundle answers {len(columns[names[0]]):,} rows to learn"}
        )
        windows = predictor.modality.windows([columns[name] for name in names])
        heads = [f"head.{name}" for name in predictor.kinds]
        pieces = predictor.run(windows, [*heads, "embed"])
        logits = {name: kind.gather(pieces[f"head.{name}"], windows) for name, kind in predictor.kinds.items()}
        said = [values_of(kind, logits[name][count:]) for name, kind in predictor.kinds.items()]
        pseudo = said[0] if len(said) == 1 else list(zip(*said, strict=True))
        part = Part(columns, [*self.labelled.truth, *pseudo])
        order = np.random.default_rng(self.task.seed).permutation(count or len(part.truth))
        held = order[: min(MOST_HELD_BACK, max(1, round(HELD_BACK * len(order))))]
        every = np.arange(len(part.truth))
        vectors = of_rows(pieces["embed"], windows)
        return Taught(
            part, count, predictor.kinds, logits, vectors, np.setdiff1d(every, held), np.sort(held).astype(np.int64)
        )


def values_of(kind: Kind, logits: Array) -> list[Any]:
    """What a kind decides, as the raw values that its ``encode`` takes."""
    decided = kind.decide(logits)
    if not kind.labels:
        return np.ravel(decided).astype(float).tolist()
    if decided.ndim == 2:
        return [[kind.labels[at] for at in np.flatnonzero(row)] for row in decided]
    return [kind.labels[at] for at in decided.tolist()]
