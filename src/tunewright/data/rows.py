"""Rows: what a task takes out of a dataset: inputs, raw target values, and what parts are cut by."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tunewright.core.errors import TunewrightError
from tunewright.core.task import Task
from tunewright.core.types import Array
from tunewright.data.dataset import Dataset
from tunewright.data.frames import as_texts
from tunewright.data.targets import target_of
from tunewright.data.times import times_of

JOINT = "\x1f"


@dataclass(frozen=True)
class Rows:
    """The rows of one part, ready to be checked, split and encoded.

    inputs : column → values; for the modality ``text`` strings, an empty cell being ``""``; otherwise raw values
    targets : name → raw values: ``classify`` a string, ``multilabel`` a list of strings, ``regress`` a float, other
        kinds as they lie in the file; None where there is no label
    dataset : the same rows as they were read, for places and the digest
    groups, times : values of ``split.column``; times in seconds
    dropped, first_dropped : how many rows ``drop_empty`` left out, and the place of the first
    """

    inputs: dict[str, list[Any]]
    targets: dict[str, list[Any]]
    dataset: Dataset
    groups: list[str] | None = None
    times: list[float] | None = None
    dropped: int = 0
    first_dropped: str = ""

    def __len__(self) -> int:
        return len(self.dataset)

    def place(self, row: int) -> str:
        return self.dataset.place(row)

    @property
    def digest(self) -> str:
        return self.dataset.digest

    def take(self, indices: Sequence[int] | Array) -> Rows:
        """The rows at ``indices``, in that order."""
        index = np.asarray(indices, np.int64)
        pick: Callable[[list[Any]], list[Any]] = lambda values: [values[at] for at in index.tolist()]  # noqa: E731
        return replace(
            self,
            inputs={name: pick(values) for name, values in self.inputs.items()},
            targets={name: pick(values) for name, values in self.targets.items()},
            dataset=self.dataset.take(index),
            groups=None if self.groups is None else pick(self.groups),
            times=None if self.times is None else pick(self.times),
        )

    @cached_property
    def keys(self) -> pl.Series:
        """One string per row; rows with the same string have equal inputs.

        Inputs are compared after Unicode NFC, with every run of white space as one space and none at the ends; case
        counts.
        """
        columns = [folded(as_texts(pl.Series(name, values, strict=False))) for name, values in self.inputs.items()]
        joined = pl.concat_str(pl.all().fill_null(""), separator=JOINT)
        return pl.DataFrame(columns).select(joined.alias("key")).to_series()

    def label_keys(self, target: str) -> pl.Series:
        """One string per row for the target's value, null where there is none; several labels count in any order."""
        return pl.Series("label", [_label_key(value) for value in self.targets[target]], pl.String)


def folded(texts: pl.Series) -> pl.Series:
    """Strings after Unicode NFC, with runs of white space as one space and none at the ends.

    >>> folded(pl.Series(["  a\\n b "])).to_list()
    ['a b']
    """
    return texts.str.normalize("NFC").str.replace_all(r"\s+", " ").str.strip_chars()


def columns_of(task: Task, *, split: bool = True, groups: bool = True) -> tuple[str, ...]:
    """The columns that a task reads; with ``split`` also the one that parts are cut by.

    groups : those of ``audit.groups`` too

    Raises
    ------
    TunewrightError
        The task names no input or no target column, or one column as both.
    """
    if not task.inputs:
        raise TunewrightError("the task names no input column", "pass --text COLUMN")
    labels = [column for target in task.targets for column in (target.columns or (target.column,))]
    if not labels or not all(labels):
        raise TunewrightError("the task names no column to learn from", "pass --label COLUMN")
    both = set(labels) & set(task.inputs)
    if both:
        raise TunewrightError(f"column {min(both)!r} is input and label at once", "name two columns")
    extra = (task.split.column,) if split and task.split.by != "label" else ()
    return tuple(dict.fromkeys((*task.inputs, *labels, *extra, *(task.audit.groups if groups else ()))))


def rows_of(dataset: Dataset, task: Task) -> Rows:
    """The rows that a task learns or is measured from.

    A row is empty if all of its inputs are, or if no target has a value (none at all, white space, or NaN); a
    multilabel cell without labels is a value. With ``data.drop_empty`` empty rows are left out; ``check`` stops at them
    otherwise.

    Raises
    ------
    TunewrightError
        A label cannot be read as its kind needs it: no number, neither 0 nor 1, no time; with its place.
    """
    inputs = {column: _input(dataset, column, modality) for column, modality in task.inputs.items()}
    targets = {target.name: target_of(dataset, target) for target in task.targets}
    by, column = task.split.by, task.split.column
    known = column in dataset.frame.columns
    rows = Rows(
        inputs,
        targets,
        dataset,
        groups=_groups(dataset, column) if by == "group" and known else None,
        times=times_of(dataset, column) if by == "time" and known else None,
    )
    if not task.data.drop_empty:
        return rows
    empty = empty_inputs(rows) | unlabelled(rows)
    gone = np.flatnonzero(empty)
    first = dataset.place(int(gone[0])) if len(gone) else ""
    return replace(rows.take(np.flatnonzero(~empty)), dropped=len(gone), first_dropped=first) if len(gone) else rows


def empty_inputs(rows: Rows) -> NDArray[np.bool_]:
    """bool (n,): all of the row's inputs are empty."""
    return np.asarray(rows.keys.str.strip_chars(JOINT + " ").str.len_bytes().to_numpy() == 0)


def empty_labels(rows: Rows, target: str) -> NDArray[np.bool_]:
    """bool (n,): the row has no value for the target."""
    return np.array([value is None for value in rows.targets[target]], bool)


def unlabelled(rows: Rows) -> NDArray[np.bool_]:
    """bool (n,): the row has no value for any target, so that nothing can be learnt from it; never if none is read."""
    if not rows.targets:
        return np.zeros(len(rows), bool)
    return np.asarray(np.logical_and.reduce([empty_labels(rows, target) for target in rows.targets]))


def _label_key(value: Any) -> str | None:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return JOINT.join(sorted(value))
    return value if value is None or isinstance(value, str) else json.dumps(value, default=str)


def _input(dataset: Dataset, column: str, modality: str) -> list[Any]:
    cells = dataset.frame[column]
    return as_texts(cells).fill_null("").to_list() if modality == "text" else cells.to_list()


def _groups(dataset: Dataset, column: str) -> list[str]:
    """Group names; a row without one is a group of its own."""
    names = as_texts(dataset.frame[column]).to_list()
    return [f"{JOINT}{row}" if name is None else name for row, name in enumerate(names)]
