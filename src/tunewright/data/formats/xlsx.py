"""Spreadsheets (xlsx, xls, ods): one sheet, every cell read as text."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import fastexcel
import polars as pl
import xlsxwriter

from tunewright.core.errors import TunewrightError, nearest
from tunewright.core.sections import Data
from tunewright.data.formats._scan import PLACE, Scan, flat, named, numbered

SUFFIXES: tuple[str, ...] = (".xlsx", ".xls", ".xlsm", ".xlsb", ".ods")


def scan(path: Path, options: Data) -> Scan:
    """The sheet ``options.sheet``, or the first one. Empty rows are left out; places count the sheet's rows from 1."""
    cells = _cells(path, options.sheet)
    sheet = cells.with_columns(pl.int_range(1, len(cells) + 1, dtype=pl.Int64).alias(PLACE))
    blank = [pl.when(pl.col(name).str.strip_chars() != "").then(pl.col(name)).alias(name) for name in cells.columns]
    sheet = sheet.with_columns(blank).filter(~pl.all_horizontal(pl.col(cells.columns).is_null()))
    if not len(sheet):
        raise TunewrightError(
            f"{path}: the sheet is empty", "name a sheet with a header row and rows: --set data.sheet=…"
        )
    head = [str(cell or "") for cell in sheet.select(cells.columns).row(0)]
    names = named(head if options.header else numbered(len(head)), options.columns, path)
    body = sheet.slice(1) if options.header else sheet
    return Scan(body.rename(dict(zip(cells.columns, names, strict=True))).lazy(), unit="row")


def _cells(path: Path, sheet: str) -> pl.DataFrame:
    """All cells from A1 on, as strings."""
    if not path.stat().st_size:
        raise TunewrightError(f"{path}: the file is empty", "name a spreadsheet with rows")
    try:
        book = fastexcel.read_excel(path)
    except fastexcel.FastExcelError as error:
        problem = str(error).partition("\n")[0]
        raise TunewrightError(f"{path}: not a spreadsheet: {problem}", "pass --set data.format=…") from None
    if sheet and sheet not in book.sheet_names:
        raise TunewrightError(f"{path}: there is no sheet {sheet!r}", nearest(sheet, book.sheet_names))
    # skip_rows=0: a sheet whose first rows are empty would otherwise begin at its first filled row
    table = book.load_sheet(sheet or 0, header_row=None, skip_rows=0, dtypes="string")
    return table.to_polars()


def write(frames: Iterator[pl.DataFrame], out: Path | BinaryIO) -> None:
    """Collects all frames: a spreadsheet cannot be written piece by piece. Numbers stay numbers."""
    parts = [flat(frame) for frame in frames]
    rows = sum(len(frame) for frame in parts)
    if rows >= 1_048_576:
        raise TunewrightError(f"{rows} rows are more than a spreadsheet holds", "write .csv or .parquet")
    frame = pl.concat(parts) if parts else pl.DataFrame()
    options = {"strings_to_formulas": False, "strings_to_urls": False}
    packed = BytesIO()  # a disk that is full then stops a plain write, and no half-written archive is left open
    with xlsxwriter.Workbook(packed, options | {"in_memory": True}) as book:
        frame.write_excel(book, autofit=False)
    if isinstance(out, Path):
        out.write_bytes(packed.getvalue())
    else:
        out.write(packed.getvalue())
