"""What callers hold – polars and pandas frames, mappings of lists – as polars frames; and columns as texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from tunewright.core.errors import TunewrightError
from tunewright.data.formats._scan import json_texts

FRAME = "the frame"
"""What messages call rows that come from no file."""


def frame_of(source: Any) -> pl.DataFrame:
    """A polars frame of what the caller holds. pandas is recognised by its module's name and never imported.

    Raises
    ------
    TunewrightError
        It is nothing of that, two columns have one name, or lengths differ.
    """
    if isinstance(source, pl.LazyFrame):
        return source.collect()
    if isinstance(source, pl.DataFrame):
        return source
    if type(source).__module__.partition(".")[0] == "pandas" and hasattr(source, "columns"):
        return pl.DataFrame([_of_pandas(str(name), source[name]) for name in source.columns])
    if isinstance(source, Mapping):
        return _of_mapping(source)
    raise TunewrightError(
        f"rows cannot be read from {type(source).__name__}", "give a path, a frame, or a mapping of lists"
    )


def _of_pandas(name: str, column: Any) -> pl.Series:
    if not hasattr(column, "isna") or getattr(column, "ndim", 1) != 1:
        raise TunewrightError(f"{FRAME}: two columns are named {name!r}", "rename one")
    cells = [None if missing else cell for cell, missing in zip(column.tolist(), column.isna().tolist(), strict=True)]
    return pl.Series(name, cells, strict=False)


def _of_mapping(source: Mapping[Any, Any]) -> pl.DataFrame:
    lengths = {name: len(cells) for name, cells in source.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise TunewrightError(f"the columns differ in length ({listed:.200})", "give lists of one length")
    return pl.DataFrame([pl.Series(str(name), _listed(cells), strict=False) for name, cells in source.items()])


def _listed(cells: Any) -> list[Any]:
    return cells.tolist() if hasattr(cells, "tolist") else cells.to_list() if hasattr(cells, "to_list") else list(cells)


def as_texts(column: pl.Series) -> pl.Series:
    """A column as strings: whole floats without their point where the column has only such, NaN as null, lists as JSON.

    >>> as_texts(pl.Series([1.0, None])).to_list()
    ['1', None]
    """
    if column.dtype == pl.String:
        return column
    if column.dtype.is_nested() or column.dtype == pl.Object:
        return json_texts(column)
    if column.dtype.is_float():
        column = column.fill_nan(None)
        if bool((column.is_null() | (column == column.round()) & (column.abs() < 2**53)).all()):
            column = column.cast(pl.Int64)
    return column.cast(pl.String)
