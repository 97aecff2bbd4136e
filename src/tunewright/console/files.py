"""Rows that a verb reads, and answers that it writes: files, standard input and output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from tunewright.core import plugins
from tunewright.core.errors import TunewrightError
from tunewright.data import files


@contextmanager
def source(rows: str, format_name: str) -> Iterator[tuple[str, str]]:
    """Path of the rows, and what messages call it; ``-`` is read into a temporary file first."""
    if rows != "-":
        yield rows, ""
        return
    with files.spooled(sys.stdin.buffer, format_name) as path:
        yield str(path), "standard input"


def write(frames: Iterable[pl.DataFrame], path: str, *, force: bool) -> None:
    """Answers into a file by its suffix, or to standard output as csv; the file appears whole or not at all."""
    if path == "-":
        try:
            files.write(iter(frames), sys.stdout.buffer)
            sys.stdout.flush()
        except BrokenPipeError:  # the reader has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    target = Path(path)
    writers = [one for one in plugins.names("formats") if hasattr(plugins.load("formats", one), "write")]
    suffixes = {one: tuple(plugins.load("formats", one).SUFFIXES) for one in writers}
    name = next((one for one in writers if target.name.removesuffix(".gz").endswith(suffixes[one])), None)
    if name is None:
        known = ", ".join(one[0] for one in suffixes.values())
        raise TunewrightError(f"{path}: its suffix is that of no format that can be written", f"use one of: {known}")
    if target.exists() and not force:
        raise TunewrightError(f"{path}: it exists already", "pass --force to replace it, or choose another --out")
    files.write(iter(frames), target, name)
