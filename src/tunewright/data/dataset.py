"""The dataset: rows in memory with the place of each, read from a file, a folder or a frame; and rows as a stream."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from tunewright.core.errors import TunewrightError, nearest
from tunewright.core.sections import Data
from tunewright.core.types import Array
from tunewright.data.files import scan_of
from tunewright.data.formats._scan import CHUNK_ROWS, PLACE, Scan
from tunewright.data.frames import FRAME, as_texts, frame_of

HASHED_ROWS = 65_536
Source = Any
"""A path, a polars or pandas frame, or a mapping of lists (column → values)."""


@dataclass(frozen=True)
class Dataset:
    """Rows in memory.

    frame : the columns that were asked for, under their new names
    source : the file as the user wrote it, or ``the frame``
    places : where each row stands: line numbers, row numbers, or files of a folder
    unit : what numbers in ``places`` count: ``line`` or ``row``
    encoding : as detected; empty where it does not apply
    notes : what the reader should tell the user
    """

    frame: pl.DataFrame
    source: str
    places: pl.Series
    unit: str = "row"
    encoding: str = ""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.frame)

    def values(self, column: str) -> list[Any]:
        """The cells of one column; an empty cell is None."""
        return self.frame[column].to_list()

    def require(self, columns: Sequence[str]) -> None:
        """Raise a ``TunewrightError`` for the first of these columns that is not there, with the nearest one."""
        _require(columns, self.frame.columns, self.source)

    def place(self, row: int) -> str:
        """Where a row stands, for messages: ``support.csv line 812``."""
        place = self.places[int(row)]
        return f"{self.source}/{place}" if isinstance(place, str) else f"{self.source} {self.unit} {place}"

    def take(self, indices: Sequence[int] | Array) -> Dataset:
        """The rows at ``indices``, in that order; they keep their places."""
        index = pl.Series(np.asarray(indices, np.int64))
        return replace(self, frame=self.frame[index], places=self.places.gather(index))

    @cached_property
    def digest(self) -> str:
        """sha256 over column names and values.

        Values count as texts and columns in the order of their names, so that the same rows have the same digest
        whether they came from csv or Parquet, and in pieces of any size. An empty text is the same as no value.
        """
        total = hashlib.sha256(str(len(self)).encode())
        for name in sorted(self.frame.columns):
            total.update(f"\x1e{name}\x1f".encode())
            total.update(_digest(self.frame[name]))
        return "sha256:" + total.hexdigest()


def read(
    source: Source,
    options: Data | None = None,
    columns: Sequence[str] | None = None,
    *,
    name: str = "",
    optional: Sequence[str] = (),
) -> Dataset:
    """Rows into memory.

    Parameters
    ----------
    source : a file, a folder with one folder of texts per class, a polars or pandas frame, or column → list
    options : format, separator, header, encoding, new names of columns
    columns : the columns to keep, by their new names; default: all
    name : what messages call the source, where that is not the path
    optional : further columns to keep, where they are there

    Raises
    ------
    TunewrightError
        The file is missing or cannot be read; a column is missing (with the nearest one); two lengths differ.
    """
    options = options or Data()
    if not isinstance(source, str | os.PathLike):
        return _of_frame(frame_of(source), options, columns, name or FRAME, optional)
    with _called(source, name) as shown:
        scan = scan_of(source, options)
        chosen = _renamed(scan.frame, options)
        known = [one for one in chosen.collect_schema().names() if one != PLACE]
        kept = _kept(columns, optional, known)
        _require(kept, known, shown)
        has_place = PLACE in chosen.collect_schema()
        frame = _collected(chosen.select([*kept, PLACE] if has_place else kept), shown)
    places = frame[PLACE] if has_place else pl.int_range(len(frame), eager=True) + (scan.first_line or 1)
    return Dataset(frame.select(kept), shown, places, _unit(scan, has_place), scan.encoding, scan.notes)


def stream(
    source: Source,
    options: Data | None = None,
    chunk_rows: int = CHUNK_ROWS,
    *,
    columns: Sequence[str] = (),
    name: str = "",
) -> Iterator[pl.DataFrame]:
    """All rows with all columns in the file's order, in frames of at most ``chunk_rows``; memory stays flat.

    A source without rows gives one empty frame, so that its columns are known.

    columns : columns that must be there
    """
    options = options or Data()
    if not isinstance(source, str | os.PathLike):
        frame = _renamed(frame_of(source).lazy(), options).collect()
        _require(columns, frame.columns, name or FRAME)
        yield from frame.iter_slices(chunk_rows) if len(frame) else (frame,)
        return
    with _called(source, name) as shown:
        chosen = _renamed(scan_of(source, options).frame, options)
        schema = chosen.collect_schema()
        known = [one for one in schema.names() if one != PLACE]
        _require(columns, known, shown)
        empty = True
        try:
            for batch in chosen.select(known).collect_batches(chunk_size=chunk_rows):
                for piece in batch.iter_slices(chunk_rows):
                    empty = False
                    yield piece
        except pl.exceptions.PolarsError as error:
            raise _unreadable(shown, error) from error
        if empty:
            yield pl.DataFrame(schema={one: schema[one] for one in known})


@contextmanager
def _called(source: str | os.PathLike[str], name: str) -> Iterator[str]:
    """Errors name the source as the user does, not the temporary file that stands for it."""
    try:
        yield name or os.fspath(source)
    except TunewrightError as error:
        if not name:
            raise
        raise type(error)(error.problem.replace(os.fspath(source), name), error.remedy) from None


def _unit(scan: Scan, has_place: bool) -> str:
    return scan.unit if has_place or scan.first_line else "row"


def _renamed(frame: pl.LazyFrame, options: Data) -> pl.LazyFrame:
    """New names for columns; a name that is already in use is an error, an old one that is missing is not."""
    known = frame.collect_schema().names()
    mapping = {old: new for old, new in options.rename.items() if old in known}
    for new in mapping.values():
        if new in known and new not in mapping:
            raise TunewrightError(f"data.rename: there is a column {new!r} already", "choose another name")
    return frame.rename(mapping)


def _require(columns: Sequence[str], known: Sequence[str], shown: str) -> None:
    for column in columns:
        if column not in known:
            listed = ", ".join(known)
            raise TunewrightError(
                f"{shown}: there is no column {column!r}; its columns are: {listed:.300}", nearest(column, known)
            )


def _collected(frame: pl.LazyFrame, shown: str) -> pl.DataFrame:
    try:
        return frame.collect()
    except pl.exceptions.PolarsError as error:
        raise _unreadable(shown, error) from error


def _unreadable(shown: str, error: Exception) -> TunewrightError:
    return TunewrightError(
        f"{shown}: cannot be read: {str(error).partition(chr(10))[0]}", "mend the file, or name another format"
    )


def _kept(columns: Sequence[str] | None, optional: Sequence[str], known: Sequence[str]) -> list[str]:
    if columns is None:
        return list(known)
    return list(dict.fromkeys((*columns, *(one for one in optional if one in known))))


def _of_frame(
    frame: pl.DataFrame, options: Data, columns: Sequence[str] | None, name: str, optional: Sequence[str]
) -> Dataset:
    renamed = _renamed(frame.lazy(), options).collect()
    kept = _kept(columns, optional, renamed.columns)
    _require(kept, renamed.columns, name)
    return Dataset(renamed.select(kept), name, pl.int_range(len(frame), eager=True))


def _digest(column: pl.Series) -> bytes:
    lengths, texts = hashlib.sha256(), hashlib.sha256()
    for start in range(0, len(column), HASHED_ROWS):
        cells = as_texts(column.slice(start, HASHED_ROWS)).fill_null("")
        lengths.update(cells.str.len_bytes().to_numpy().astype("<u8").tobytes())
        texts.update("".join(cells.to_list()).encode())
    return lengths.digest() + texts.digest()
