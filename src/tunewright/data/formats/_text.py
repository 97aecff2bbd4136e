"""Text files whose cells stand between separators: records with their lines, header, widths, the lazy frame."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import polars as pl

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Data
from tunewright.data.encoding import Encoding, opened_text
from tunewright.data.formats._scan import CHUNK_ROWS, PLACE, Scan, named, numbered, streamed

MAX_CELL_CHARS = 1 << 26
"""A quoted cell longer than this is a quote that was never closed."""
SEPARATORS = (",", "\t", ";", "|")
SNIFFED_RECORDS = 200

Record = tuple[int, list[str]]
"""The line on which a record begins, and its cells."""


@dataclass(frozen=True)
class Layout:
    """How the lines of one file become cells.

    open_column : unquoted only: the column that keeps the surplus where a line has more separators than columns; -1:
        none
    """

    path: Path
    encoding: Encoding
    separator: str
    quoted: bool
    open_column: int = -1
    width: int = 0

    def records(self) -> Iterator[Record]:
        """The records that are not blank lines."""
        return self._quoted() if self.quoted else self._unquoted()

    def _quoted(self) -> Iterator[Record]:
        csv.field_size_limit(max(csv.field_size_limit(), MAX_CELL_CHARS))
        with opened_text(self.path, self.encoding) as file:
            reader = csv.reader(file, delimiter=self.separator, strict=True)
            done = 0
            try:
                for cells in reader:
                    if cells and not (len(cells) == 1 and cells[0].isspace()):
                        yield done + 1, cells
                    done = reader.line_num
            except csv.Error as error:
                raise _misquoted(self.path, done + 1, str(error)) from None

    def _unquoted(self) -> Iterator[Record]:
        with opened_text(self.path, self.encoding) as file:
            for number, line in enumerate(file, 1):
                line = line.rstrip("\r\n")
                if line and not line.isspace():
                    yield number, self._cut(line)

    def _cut(self, line: str) -> list[str]:
        cells = line.split(self.separator)
        return (
            cells
            if self.open_column < 0 or len(cells) <= self.width
            else joined(cells, self.separator, self.open_column, self.width)
        )


def joined(cells: Sequence[str], separator: str, at: int, width: int) -> list[str]:
    """Surplus cells put together again in the column ``at``.

    >>> joined("mail me@home@positive".split("@"), "@", 0, 2)
    ['mail me@home', 'positive']
    """
    end = len(cells) - (width - 1 - at)
    return [*cells[:at], separator.join(cells[at:end]), *cells[end:]]


def scanned(layout: Layout, options: Data, notes: Sequence[str] = ()) -> Scan:
    """The lazy frame of a text file: all cells are strings, an empty cell is null."""
    path = layout.path
    first = next(layout.records(), None)
    if first is None:
        raise TunewrightError(f"{path}: the file has no rows", "name a file with a header line and rows")
    own = [name.removeprefix("\ufeff") for name in first[1]] if options.header else numbered(len(first[1]))
    names = named(own, options.columns, path)
    schema = {**dict.fromkeys(names, pl.String()), PLACE: pl.Int64()}

    def frames() -> Iterator[pl.DataFrame]:
        records = even(layout.records(), names, path)
        if options.header:
            next(records, None)
        while rows := list(islice(records, CHUNK_ROWS)):
            yield _frame(rows, names)

    found = layout.encoding
    return Scan(streamed(frames, schema), found.shown, 0, (*found.notes, *notes))


def _frame(rows: Sequence[Record], names: Sequence[str]) -> pl.DataFrame:
    columns = zip(*(cells for _, cells in rows), strict=True)
    cells = [pl.Series(name, column, pl.String) for name, column in zip(names, columns, strict=True)]
    lines = pl.Series(PLACE, [line for line, _ in rows], pl.Int64)
    empty = [pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in names]
    return pl.DataFrame(cells).select(empty).with_columns(lines)


def even(records: Iterator[Record], names: Sequence[str], path: Path) -> Iterator[Record]:
    """The records, each as wide as ``names``; empty surplus cells at the end of a record are dropped."""
    width = len(names)
    for line, cells in records:
        if len(cells) != width:
            if len(cells) < width or any(cells[width:]):
                raise _uneven(path, line, cells, names)
            cells = cells[:width]
        yield line, cells


def _uneven(path: Path, line: int, cells: Sequence[str], names: Sequence[str]) -> TunewrightError:
    have = f"{len(cells)} cell" + ("s" if len(cells) != 1 else "")
    want = f"{len(names)} column" + ("s" if len(names) != 1 else "")
    remedy = "put cells that hold the separator into double quotes, or pass --separator"
    return TunewrightError(f"{path} line {line}: {have}, but {want} ({', '.join(names):.200})", remedy)


def _misquoted(path: Path, line: int, error: str) -> TunewrightError:
    if "expected after" in error:
        problem = "text follows the closing quote of a cell"
    elif "field limit" in error or "end of data" in error:
        problem = "a double quote opens a cell and nothing closes it"
    else:
        problem = error
    return TunewrightError(
        f"{path} line {line}: malformed quoting: {problem}",
        'double the quotes inside cells (""), or pass --set data.format=tsv with --separator if it does not quote',
    )


def sniffed(path: Path, encoding: Encoding) -> str:
    """The separator under which the first records have the same number of cells, more than one; else a comma."""
    best, most = ",", (0.0, 0)
    for separator in SEPARATORS:
        widths = _widths(Layout(path, encoding, separator, quoted=True))
        if not widths or widths[0] < 2:
            continue
        share = sum(width == widths[0] for width in widths) / len(widths)
        score = (round(share, 2), widths[0])
        if share >= 0.8 and score > most:
            best, most = separator, score
    return best


def _widths(layout: Layout) -> list[int]:
    widths: list[int] = []
    try:
        widths.extend(len(cells) for _, cells in islice(layout.records(), SNIFFED_RECORDS))
    except TunewrightError:
        widths.append(0)  # the wrong separator breaks the quoting; the right one may too, and says so when it is read
    return widths


def holds(layout: Layout, fits: Callable[[int], bool]) -> bool:
    """Whether all records can be read and have a width that fits."""
    try:
        return all(fits(len(cells)) for _, cells in layout.records())
    except TunewrightError:
        return False


def open_column(layout: Layout, width: int) -> int:
    """The column that free text stands in: the other columns then have the fewest different values."""
    lines = [cells for _, cells in islice(layout.records(), 5 * SNIFFED_RECORDS) if len(cells) >= width]

    def variety(at: int) -> int:
        rows = [joined(cells, layout.separator, at, width) for cells in lines]
        return sum(len(Counter(column)) for spot, column in enumerate(zip(*rows, strict=True)) if spot != at)

    return min(range(width), key=variety) if lines else 0
