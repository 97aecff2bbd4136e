"""Apache Parquet: typed columns, read and written piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import polars as pl

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Data
from tunewright.data.formats._scan import Scan, named, streamed

SUFFIXES: tuple[str, ...] = (".parquet", ".pq")


def scan(path: Path, options: Data) -> Scan:
    """The file's columns with their types; columns of categories become strings."""
    if not path.stat().st_size:
        raise TunewrightError(f"{path}: the file is empty", "name a file with rows")
    try:
        frame = pl.scan_parquet(path, glob=False)
        own = frame.collect_schema().names()
    except pl.exceptions.PolarsError as error:
        problem = str(error).partition("\n")[0]
        raise TunewrightError(f"{path}: not a Parquet file: {problem}", "pass --set data.format=…") from None
    names = named(own, options.columns, path)
    if names != own:
        frame = frame.rename(dict(zip(own, names, strict=True)))
    return Scan(frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String)))


def write(frames: Iterator[pl.DataFrame], out: Path | BinaryIO) -> None:
    """Write frame by frame; all frames have the columns of the first."""
    first = next(frames, None)
    if first is None:
        first = pl.DataFrame()
    rest = chain((first,), frames)
    streamed(lambda: rest, first.schema).sink_parquet(out)
