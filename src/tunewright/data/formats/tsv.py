"""One row a line, cells between tabs or another separator; quotes are plain characters unless the whole file quotes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import polars as pl

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Data
from tunewright.data.encoding import encoding_of
from tunewright.data.formats import _text
from tunewright.data.formats._scan import Scan
from tunewright.data.formats.csv import write_cells

SUFFIXES: tuple[str, ...] = (".tsv", ".tab", ".txt")


def scan(path: Path, options: Data) -> Scan:
    r"""Rows of a file with one row a line.

    Quotes count as quotes only if some line would be uneven without them and no record is uneven with them, or if
    every line that has any uses them by the rule; otherwise ``"`` is a character like another.

    Where a separator other than a tab stands more often in a line than there are columns, the surplus stays in the
    column of free text: that one beside which the other columns have the fewest different values. So ``@`` splits
    ``mail me@home@positive`` at the last one, and a space splits ``1 a stirring film`` at the first.
    """
    found = encoding_of(path, options.encoding)
    layout = _text.Layout(path, found, options.separator or "\t", quoted=False)
    width = _width(layout, options)
    if len(layout.separator) == 1 and found.quotes and _quotes(layout, width):
        return _text.scanned(replace(layout, quoted=True), options)
    if layout.separator == "\t" or width < 2 or _text.holds(layout, lambda cells: cells <= width):
        return _text.scanned(layout, options)
    column = _text.open_column(layout, width)
    layout = replace(layout, open_column=column, width=width)
    name = (
        options.columns[column]
        if options.columns
        else next(layout.records())[1][column]
        if options.header
        else column + 1
    )
    note = f"lines with more than {width - 1} of {layout.separator!r}: the surplus stays in column {name}"
    return _text.scanned(layout, options, (note,))


def _width(layout: _text.Layout, options: Data) -> int:
    """Number of columns: as named, else as in the first line."""
    first = next(layout.records(), (0, [""]))[1]
    width = len(options.columns) or len(first)
    if width > 1 and len(first) == 1:
        raise TunewrightError(
            f"{layout.path} line 1: no {layout.separator!r} in it, but {width} columns are asked for",
            "pass --separator",
        )
    return width


def _quotes(layout: _text.Layout, width: int) -> bool:
    quoted = replace(layout, quoted=True)
    if not _text.holds(quoted, lambda cells: cells == width):
        return False
    if not _text.holds(layout, lambda cells: cells == width):
        return True
    # Every line is even without quoting: then a quoted cell never spans lines, and two stray quotes must not seem to.
    return sum(1 for _ in quoted.records()) == sum(1 for _ in layout.records())


def write(frames: Iterator[pl.DataFrame], out: Path | BinaryIO) -> None:
    """Write frame by frame, with one header; cells that hold a tab, a quote or a line end are quoted."""
    write_cells(frames, out, "\t")
