"""Comma-separated values: cells may stand in double quotes and then hold separators and line ends (RFC 4180)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import polars as pl

from tunewright.core.sections import Data
from tunewright.data.encoding import encoding_of
from tunewright.data.formats import _text
from tunewright.data.formats._scan import Scan, flat

SUFFIXES: tuple[str, ...] = (".csv",)


def scan(path: Path, options: Data) -> Scan:
    """Rows of a csv file; the separator is ``options.separator``, or found among comma, tab, semicolon and bar.

    A separator of several characters cannot stand beside quotes, so such a file is read line by line, as tsv does.
    """
    found = encoding_of(path, options.encoding)
    separator = options.separator or _text.sniffed(path, found)
    layout = _text.Layout(path, found, separator, quoted=len(separator) == 1)
    notes = () if options.separator or separator == "," else (f"separator: {separator!r}",)
    return _text.scanned(layout, options, notes)


def write(frames: Iterator[pl.DataFrame], out: Path | BinaryIO) -> None:
    """Write frame by frame, with one header; nested cells become JSON texts."""
    write_cells(frames, out, ",")


def write_cells(frames: Iterator[pl.DataFrame], out: Path | BinaryIO, separator: str) -> None:
    """Rows of cells between any separator of one character."""
    if isinstance(out, Path):
        with open(out, "wb") as file:
            write_cells(frames, file, separator)
        return
    for at, frame in enumerate(frames):
        cells = flat(frame)
        if cells.width == 1:  # an empty cell would be a blank line, which readers pass over
            cells = cells.with_columns(pl.col(pl.String).fill_null(""))
        out.write(cells.write_csv(include_header=at == 0, separator=separator).encode())
