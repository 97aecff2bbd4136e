"""What callers may hand to a predictor, brought into one form: a list of values per input column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tunewright.core.errors import TunewrightError, nearest


def as_columns(inputs: Any, names: Sequence[str]) -> list[list[Any]]:
    """One list per column of ``names``.

    Parameters
    ----------
    inputs
        Raw values (where there is one input column), records (column → value), a pandas or polars frame or a mapping
        (column → list).

    Raises
    ------
    TunewrightError
        A column is missing (named with its row, if the rows are records), ``inputs`` or a column is a single string, or
        columns differ in length.
    """
    if isinstance(inputs, str | bytes):
        raise TunewrightError("the inputs are a single text", 'give a list: predict(["…"])')
    if isinstance(inputs, Mapping) or hasattr(inputs, "columns"):
        return _of_one_length([_column(inputs, name) for name in names], names)
    rows = list(inputs)
    return [[_value(row, name, names, at) for at, row in enumerate(rows)] for name in names]


def _column(table: Any, name: str) -> list[Any]:
    known = list(table) if isinstance(table, Mapping) else list(table.columns)
    if name not in known:
        raise TunewrightError(f"the rows have no column {name!r}", nearest(name, map(str, known)))
    column: Iterable[Any] = table[name]
    if isinstance(column, str | bytes):
        raise TunewrightError(f"column {name!r} is a single text", f'give a list: {{"{name}": ["…"]}}')
    values: list[Any] = column.to_list() if hasattr(column, "to_list") else list(column)
    return values


def _of_one_length(columns: list[list[Any]], names: Sequence[str]) -> list[list[Any]]:
    for column, name in zip(columns, names, strict=True):
        if len(column) != len(columns[0]):
            raise TunewrightError(
                f"column {name!r} has {len(column):,} values and {names[0]!r} has {len(columns[0]):,}",
                "give columns of one length",
            )
    return columns


def _value(row: Any, name: str, names: Sequence[str], at: int) -> Any:
    if isinstance(row, Mapping):
        if name not in row:
            raise TunewrightError(f"row {at}: column {name!r} is missing", nearest(name, map(str, row)))
        return row[name]
    if len(names) > 1:
        raise TunewrightError(
            f"row {at}: {row!r:.80} is one value, but the inputs are {', '.join(names)}",
            'give records: {"' + names[0] + '": …}',
        )
    return row
