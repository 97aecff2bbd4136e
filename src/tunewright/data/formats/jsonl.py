"""JSON lines: one record a line; or a .json file that holds one list of records, or of rows of cells."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Data
from tunewright.data.encoding import Encoding, encoding_of, opened_text
from tunewright.data.formats._scan import CHUNK_ROWS, PLACE, Scan, named, numbered, streamed

SUFFIXES: tuple[str, ...] = (".jsonl", ".ndjson", ".json")

Record = tuple[int, Any]


def scan(path: Path, options: Data) -> Scan:
    """Records with their lines; keys become columns in the order in which they first occur, a missing one is null.

    A column that holds values of several types is read as strings. Rows of cells (``[["text", 1], …]``) have a
    header row unless ``options.header`` is false.
    """
    found = encoding_of(path, options.encoding)
    is_list = _starts_list(path, found)
    listed = _listed(path, found) if is_list else None

    def records() -> Iterator[Record]:
        return iter(listed) if listed is not None else _lines(path, found)

    first: Any = next(records(), (0, {}))[1]
    if isinstance(first, list):
        return _rows_of_cells(path, options, listed or [], found)
    types = _types(records(), path)
    if not types:
        raise TunewrightError(f"{path}: there are no records", 'write one {"column": value, …} a line')
    return _scan(
        path, options, types, lambda: (_filled(one, types) for one in records()), found, numbers=listed is None
    )


def _types(records: Iterator[Record], path: Path) -> dict[str, Any]:
    """The type of every key; a value whose Python type the key has had before is passed over quickly."""
    types: dict[str, Any] = {}
    had: set[tuple[str, type]] = set()
    for line, record in records:
        if not isinstance(record, dict):
            place = f"{path} line {line}" if line else str(path)
            raise TunewrightError(f"{place}: {record!r:.60} is no record", 'write {"column": value, …}')
        for key, value in record.items():
            sort = (key, type(value))
            if sort not in had:
                types[key] = _merged(types.get(key), value)
                if not isinstance(value, list | int) or isinstance(value, bool):
                    had.add(sort)
    return types


def _scan(path: Path, options: Data, types: Mapping[str, Any], cells: Any, found: Encoding, *, numbers: bool) -> Scan:
    names = named(list(types), options.columns, path)
    dtypes = [dtype if dtype is not None and dtype != pl.Null else pl.String() for dtype in types.values()]
    schema: dict[str, Any] = dict(zip(names, dtypes, strict=True))
    place = {PLACE: pl.Int64()} if numbers else {}

    def frames() -> Iterator[pl.DataFrame]:
        records = cells()
        while chunk := list(islice(records, CHUNK_ROWS)):
            columns = zip(*(row for _, row in chunk), strict=True)
            series = [_series(name, column, schema[name]) for name, column in zip(names, columns, strict=True)]
            lines = [pl.Series(PLACE, [line for line, _ in chunk], pl.Int64)] if numbers else []
            yield pl.DataFrame([*series, *lines])

    return Scan(streamed(frames, {**schema, **place}), found.shown, 0, found.notes)


def _rows_of_cells(path: Path, options: Data, rows: list[Record], found: Encoding) -> Scan:
    first = rows[0][1]
    own = [str(cell) for cell in first] if options.header else numbered(len(first))
    body = rows[1:] if options.header else rows
    types: dict[str, Any] = dict.fromkeys(own)
    for number, (_, cells) in enumerate(body, 1):
        if not isinstance(cells, list) or len(cells) != len(own):
            raise TunewrightError(f"{path} row {number}: {cells!r:.60} does not have {len(own)} cells", "mend the row")
        for name, cell in zip(own, cells, strict=True):
            types[name] = _merged(types[name], cell)
    return _scan(path, options, types, lambda: iter(body), found, numbers=False)


def _lines(path: Path, found: Encoding) -> Iterator[Record]:
    with opened_text(path, found) as file:
        for number, line in enumerate(file, 1):
            if not line.isspace():
                yield number, _parsed(line, path, number)


def _starts_list(path: Path, found: Encoding) -> bool:
    """Whether the file is one JSON list rather than one record a line."""
    with opened_text(path, found) as file:
        head = file.read(256).lstrip()
    return head.startswith("[")


def _listed(path: Path, found: Encoding) -> list[Record]:
    with opened_text(path, found) as file:
        whole = _parsed(file.read(), path)
    if not isinstance(whole, list) or not whole:
        raise TunewrightError(f"{path}: the list has no rows", "write a list of records")
    return [(0, row) for row in whole]


def _parsed(text: str, path: Path, number: int = 0) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"{path} line {number}" if number else str(path)
        spot = f"character {error.pos}" if error.lineno == 1 else f"line {error.lineno} character {error.colno}"
        raise TunewrightError(
            f"{place}: no JSON at {spot}: {error.msg}", "mend the line, one JSON value a line"
        ) from None
    except RecursionError:
        place = f"{path} line {number}" if number else str(path)
        raise TunewrightError(f"{place}: the JSON is nested too deeply", "give plain records") from None


def _filled(record: Record, types: Mapping[str, Any]) -> Record:
    return record[0], [record[1].get(key) for key in types]


def _merged(known: Any, value: Any) -> Any:
    """The type of a column that has held ``known`` and now holds ``value``."""
    dtype = _dtype(value)
    if known is None or known == dtype or dtype == pl.Null:
        return dtype if known is None or known == pl.Null else known
    if known == pl.Null:
        return dtype
    return pl.Float64() if {str(known), str(dtype)} == {"Int64", "Float64"} else pl.String()


def _dtype(value: Any) -> Any:
    if value is None:
        return pl.Null()
    if isinstance(value, bool):
        return pl.Boolean()
    if isinstance(value, int):
        return pl.Int64() if -(2**63) <= value < 2**63 else pl.String()
    if isinstance(value, float):
        return pl.Float64()
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return pl.List(pl.String())
    return pl.String()


def _series(name: str, values: Sequence[Any], dtype: Any) -> pl.Series:
    cells = (
        [_text(value) for value in values]
        if dtype == pl.String and {type(value) for value in values} != {str}
        else values
    )
    try:
        return pl.Series(name, cells, dtype)
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can write and no text can hold
        return pl.Series(name, [_whole(cell) for cell in cells], dtype)


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _whole(cell: Any) -> Any:
    if isinstance(cell, list):
        return [_whole(one) for one in cell]
    return cell.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(cell, str) else cell


def write(frames: Iterator[pl.DataFrame], out: Path | BinaryIO) -> None:
    """One record a line, frame by frame."""
    if isinstance(out, Path):
        with open(out, "wb") as file:
            write(frames, file)
        return
    for frame in frames:
        if len(frame):
            out.write(frame.write_ndjson().encode())
