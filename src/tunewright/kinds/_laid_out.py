"""Answers of several targets, laid out by row and by column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunewright.core.types import Kind
from tunewright.kinds._reviewed import FIELD


def by_row(answers: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Target → answers of n rows, as n mappings target → answer.

    >>> by_row({"a": [1, 2], "b": [3, 4]})
    [{'a': 1, 'b': 3}, {'a': 2, 'b': 4}]
    """
    return [dict(zip(answers, row, strict=True)) for row in zip(*answers.values(), strict=True)]


def columns_of(
    kinds: Mapping[str, Kind], answers: Mapping[str, Sequence[Any]], *, reviewed: bool = False
) -> dict[str, list[Any]]:
    """Output columns of a file: those of the kind, and of several targets each with the target's name at its end.

    reviewed : answers say whether a person should look at them
    """
    columns = {name: kinds[name].columns(found) for name, found in answers.items()}
    if reviewed:
        columns = {name: own | {FIELD: [getattr(one, FIELD) for one in answers[name]]} for name, own in columns.items()}
    if len(kinds) == 1:
        return next(iter(columns.values()))
    return {f"{column}_{name}": values for name, own in columns.items() for column, values in own.items()}
