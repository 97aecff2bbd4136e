"""Rows for steps of compression: those that judge, those whose texts are read, those that are learnt from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.core import plugins
from tunewright.core.errors import TunewrightError
from tunewright.core.run import Listener
from tunewright.data.rows import Rows
from tunewright.pipeline.asked import Asked, rows_asked, training_rows
from tunewright.pipeline.extras import training
from tunewright.pipeline.tasks import Source

if TYPE_CHECKING:
    from tunewright.compress._lessons import Lessons

Say = Callable[[str], None]


@dataclass(frozen=True)
class Given:
    """Rows beside those that judge; none of them is one that judges.

    labelled : rows with labels; unlabelled : input column → values
    """

    labelled: Rows | None
    unlabelled: dict[str, list[Any]]

    @property
    def any(self) -> bool:
        return self.labelled is not None or bool(self.unlabelled)

    def columns(self, inputs: Sequence[str]) -> list[list[Any]]:
        """All texts, one list per input column; none where no row was given."""
        own = self.labelled.inputs if self.labelled is not None else {}
        return [[*own.get(name, ()), *self.unlabelled.get(name, ())] for name in inputs] if self.any else []


def given(asked: Asked, judging: Rows, train: Source, unlabelled: Source, say: Say) -> Given:
    """Read the rows to learn from; those that judge, too, are left out.

    Raises
    ------
    TunewrightError
        A column is missing, or no row is left.
    """
    labelled = None
    if train is not None:
        labelled = _apart(training_rows(asked, train), judging, "--train", say)
    more = {}
    if unlabelled is not None:
        more = _apart(rows_asked(asked, unlabelled)[0], judging, "--unlabelled", say).inputs
    return Given(labelled, more)


def _apart(rows: Rows, judging: Rows, where: str, say: Say) -> Rows:
    """The rows whose inputs are not those of a row that judges."""
    own = (~rows.keys.is_in(judging.keys.to_list())).arg_true().to_numpy()
    if len(own) == len(rows):
        return rows
    if not len(own):
        raise TunewrightError(f"{where}: every row of it is one that judges", "give other rows to learn from")
    say(f"{where}: {len(rows) - len(own):,} of {len(rows):,} rows are left out, since they judge")
    return rows.take(own)


def divided(asked: Asked, rows: Rows, beside: Given, steps: Sequence[str], say: Say) -> tuple[Rows, list[list[Any]]]:
    """The rows that judge, and the texts that a step may read, which are never the same rows."""
    if not rows.targets:
        say("the rows have no labels: only flips and the shift of scores are judged, not accuracy")
    if beside.any or not any(getattr(plugins.load("compress", step), "READS_TEXTS", False) for step in steps):
        return rows, beside.columns(list(asked.task.inputs))
    order = np.random.default_rng(asked.task.seed).permutation(len(rows))
    half = len(rows) // 2
    if not half:
        raise TunewrightError(f"{steps[0]} reads texts, and there is one row", "give more rows, or --train")
    read, rows = rows.take(np.sort(order[:half])), rows.take(np.sort(order[half:]))
    say(f"tokens of {len(read):,} of the rows stay; the other {len(rows):,} judge")
    return rows, [list(read.inputs[name]) for name in asked.task.inputs]


def lessons(bundle: Path, asked: Asked, beside: Given, student: str, listener: Listener) -> Lessons | None:
    """What steps that learn are given; None where no rows were."""
    if not beside.any:
        return None
    with training("`compress`"):
        from tunewright.compress._lessons import Lessons
        from tunewright.train.examples import Part

    rows = beside.labelled
    values = [] if rows is None else list(rows.targets.values())
    truth = [] if not values else values[0] if len(values) == 1 else list(zip(*values, strict=True))
    part = Part(rows.inputs if rows is not None else {}, truth)
    return Lessons(bundle, asked.task, part, beside.unlabelled, student, listener)
