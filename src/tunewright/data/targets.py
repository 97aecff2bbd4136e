"""Raw values of a target as its kind reads them from the cells of a dataset: labels merged, numbers parsed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Target
from tunewright.data.dataset import Dataset
from tunewright.data.frames import as_texts

NAN_WORDS = ("nan", "<na>", "nat")
"""Labels that are no labels but what pandas writes where there is none (in any case)."""
TRUE, FALSE = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")


def target_of(dataset: Dataset, target: Target) -> list[Any]:
    """One value per row, None where there is none; see ``Rows`` for what a kind gets.

    Raises
    ------
    TunewrightError
        A cell cannot be read as the kind needs it: no number, neither 0 nor 1; its place is named.
    """
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
