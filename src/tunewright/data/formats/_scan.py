"""What a format makes of a file: a lazy frame with the place of each row, and what was found on the way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from tunewright.core.errors import TunewrightError

PLACE = "\x1fplace"
"""An extra column of ``Scan.frame``: each row's line in the file (integers) or its file in the folder (strings)."""
CHUNK_ROWS = 8192


@dataclass(frozen=True)
class Scan:
    """Rows that can be read.

    frame : the columns in the file's order; the column ``PLACE`` if rows do not lie one a line
    encoding : as detected; empty where it does not apply
    first_line : line of row 0 where rows lie one a line; 0 where they have no lines
    unit : what a place counts: ``line``, or ``row`` for a spreadsheet
    notes : what the reader should tell the user
    """

    frame: pl.LazyFrame
    encoding: str = ""
    first_line: int = 0
    notes: tuple[str, ...] = ()
    unit: str = "line"


def streamed(frames: Callable[[], Iterator[pl.DataFrame]], schema: Mapping[str, Any]) -> pl.LazyFrame:
    """A lazy frame over a generator; each reading starts the generator anew."""

    def source(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        left = rows
        for frame in frames():
            chosen = frame if left is None else frame.head(left)
            kept = chosen if predicate is None else chosen.filter(predicate)
            yield kept if columns is None else kept.select(columns)
            if left is not None:
                left -= len(chosen)
                if left <= 0:
                    return

    return register_io_source(source, schema=dict(schema))


def named(own: Sequence[str], options_columns: Sequence[str], path: Path) -> list[str]:
    """The column names: the file's own, or those of ``data.columns``, which must be as many."""
    if options_columns and len(options_columns) != len(own):
        raise TunewrightError(
            f"{path}: it has {len(own)} columns ({', '.join(own)}), data.columns names {len(options_columns)}",
            "name each column once",
        )
    names = [name or f"column_{at}" for at, name in enumerate(options_columns or own, 1)]
    for name in names:
        if names.count(name) > 1:
            raise TunewrightError(f"{path}: two columns are named {name!r}", "rename one, or pass --columns")
    return names


def numbered(count: int) -> list[str]:
    """Names for columns that have none.

    >>> numbered(2)
    ['column_1', 'column_2']
    """
    return [f"column_{at}" for at in range(1, count + 1)]


def flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Nested cells (lists, records) as JSON texts, for formats that hold plain cells only."""
    texts = [json_texts(frame[name]) for name, dtype in frame.schema.items() if dtype.is_nested()]
    return frame.with_columns(texts) if texts else frame


def json_texts(column: pl.Series) -> pl.Series:
    """Every cell as JSON."""
    cells = [None if cell is None else json.dumps(cell, ensure_ascii=False, default=str) for cell in column.to_list()]
    return pl.Series(column.name, cells, pl.String)
