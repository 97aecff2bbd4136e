"""Rows: what a task takes out of a dataset: inputs and raw target values; labels merged, numbers and times parsed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Target
from tunewright.core.task import Task
from tunewright.core.types import Array
from tunewright.data.dataset import Dataset
from tunewright.data.frames import as_texts

NAN_WORDS = ("nan", "<na>", "nat")
"""Labels that are no labels but what pandas writes where there is none (in any case)."""
TRUE, FALSE = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")
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
    targets = {target.name: _target(dataset, target) for target in task.targets}
    by, column = task.split.by, task.split.column
    known = column in dataset.frame.columns
    rows = Rows(
        inputs,
        targets,
        dataset,
        groups=_groups(dataset, column) if by == "group" and known else None,
        times=_times(dataset, column) if by == "time" and known else None,
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


def _target(dataset: Dataset, target: Target) -> list[Any]:
    readers: Mapping[str, Callable[[Dataset, Target], list[Any]]] = {
        "classify": _one_label,
        "multilabel": _some_labels,
        "regress": _number,
    }
    reader = readers.get(target.kind)
    return reader(dataset, target) if reader else dataset.values(target.column)


def _texts(cells: pl.Series) -> pl.Series:
    """As strings; null where there is only white space or NaN."""
    texts = as_texts(cells)
    bare = texts.str.strip_chars().str.to_lowercase()
    return texts.set(bare.is_in(["", *NAN_WORDS]).fill_null(True), None)


def _renaming(target: Target) -> dict[str, str]:
    """Old label → new one.

    Raises
    ------
    TunewrightError
        One old label is to become two.
    """
    mapping: dict[str, str] = {}
    for new, olds in target.merge.items():
        for old in olds:
            if mapping.setdefault(old, new) != new:
                raise TunewrightError(f"merge: {old!r} is to become {mapping[old]!r} and {new!r}", "name it once")
    return mapping


def _one_label(dataset: Dataset, target: Target) -> list[str | None]:
    texts = _texts(dataset.frame[target.column])
    mapping = _renaming(target)
    return (texts.replace(mapping) if mapping else texts).to_list()


def _some_labels(dataset: Dataset, target: Target) -> list[list[str] | None]:
    mapping = _renaming(target)
    if target.columns:
        return _flags(dataset, target, mapping)
    cells = dataset.values(target.column)
    found: list[list[str] | None] = []
    for cell in cells:
        parts = cell if isinstance(cell, list) else [] if cell is None else str(cell).split(target.separator)
        labels = [str(part).strip() for part in parts if part is not None]
        labels = [label for label in labels if label and label.lower() not in NAN_WORDS]
        found.append(list(dict.fromkeys(mapping.get(label, label) for label in labels)))
    return found


def _flags(dataset: Dataset, target: Target, mapping: Mapping[str, str]) -> list[list[str] | None]:
    """Labels from columns of 0 and 1; None for a row with an empty one."""
    found: list[list[str] | None] = [[] for _ in range(len(dataset))]
    for column in target.columns:
        label = mapping.get(column, column)
        bare = _texts(dataset.frame[column]).str.strip_chars().str.to_lowercase().to_list()
        for row, flag in enumerate(bare):
            labels = found[row]
            if flag is None:
                found[row] = None
            elif flag not in TRUE and flag not in FALSE:
                problem = f"{dataset.place(row)}: {column} is {flag!r:.40}, neither 0 nor 1"
                raise TunewrightError(problem, "write 0 or 1, or name one column of labels")
            elif flag in TRUE and labels is not None and label not in labels:
                labels.append(label)
    return found


def _number(dataset: Dataset, target: Target) -> list[float | None]:
    texts = _texts(dataset.frame[target.column])
    numbers = texts.str.strip_chars().cast(pl.Float64, strict=False)
    wrong = (texts.is_not_null() & (numbers.is_null() | ~numbers.is_finite())).fill_null(True)
    if wrong.any():
        row = wrong.arg_true()[0]
        others = f" ({wrong.sum()} such rows)" if wrong.sum() > 1 else ""
        problem = f"{dataset.place(row)}: {target.column} is {texts[row]!r:.40}, no number{others}"
        raise TunewrightError(problem, "write numbers such as 3.5, or set the target's kind to classify")
    return numbers.to_list()


def _groups(dataset: Dataset, column: str) -> list[str]:
    """Group names; a row without one is a group of its own."""
    names = as_texts(dataset.frame[column]).to_list()
    return [f"{JOINT}{row}" if name is None else name for row, name in enumerate(names)]


DATE = re.compile(r"^\s*(\d{1,2})[-/. ](\d{1,2})[-/. ](\d{4})(.*)$")
FORMATS = (
    *("%d-%b-%y", "%d-%b-%Y", "%b %d %Y", "%b %d, %Y", "%B %d, %Y"),
    *("%d %b %Y", "%d %B %Y", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"),
)


def _times(dataset: Dataset, column: str) -> list[float]:
    """Seconds of each row: dates, numbers, ISO texts, or common ways to write a date.

    In ``3/4/2020`` the day stands first, unless the column holds a date such as ``3/25/2020``.
    """
    cells = dataset.values(column)
    texts = [cell for cell in cells if isinstance(cell, str)]
    month_first = any(match and int(match[2]) > 12 for match in map(DATE.match, texts))
    seconds = [_seconds(cell, month_first) for cell in cells]
    for row, value in enumerate(seconds):
        if value is None:
            problem = f"{dataset.place(row)}: {column} is {cells[row]!r:.40}, no time"
            raise TunewrightError(problem, "write times as 2026-11-30 or 2026-11-30T12:00:00")
    return [value for value in seconds if value is not None]


def _seconds(cell: Any, month_first: bool) -> float | None:
    if isinstance(cell, datetime):
        return cell.replace(tzinfo=cell.tzinfo or UTC).timestamp()
    if isinstance(cell, date):
        return datetime(cell.year, cell.month, cell.day, tzinfo=UTC).timestamp()
    if isinstance(cell, int | float):
        return float(cell) if np.isfinite(cell) else None
    return _of_text(cell.strip(), month_first) if isinstance(cell, str) else None


def _of_text(text: str, month_first: bool) -> float | None:
    match = DATE.match(text)
    if match:
        day, month = (match[2], match[1]) if month_first else (match[1], match[2])
        text = f"{match[3]}-{month:0>2}-{day:0>2}{match[4]}"
    try:
        return _seconds(datetime.fromisoformat(text), month_first)
    except ValueError:
        pass
    for form in FORMATS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    return _plain_number(text)


def _plain_number(text: str) -> float | None:
    try:
        return float(text) if np.isfinite(float(text)) else None
    except ValueError:
        return None
