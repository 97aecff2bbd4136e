"""Files of rows: their format, opening one without reading it, and writing one whole or not at all."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, cast

import polars as pl

from tunewright.core import plugins
from tunewright.core.errors import TunewrightError, nearest
from tunewright.core.sections import Data
from tunewright.data.formats._scan import Scan


@contextmanager
def spooled(stdin: BinaryIO, format_name: str = "auto") -> Iterator[Path]:
    """What comes through a pipe, as a temporary file for ``dataset.read`` and ``stream``; removed afterwards.

    The format is ``format_name``, or found from the first bytes: Parquet, spreadsheet, JSON, else csv.

    >>> import io
    >>> from tunewright.data.dataset import read
    >>> with spooled(io.BytesIO(b"text\\nhello\\n")) as path:
    ...     print(read(path, name="stdin").place(0))
    stdin line 2
    """
    head = stdin.read(4096)
    name = format_name if format_name != "auto" else _format_of_bytes(head)
    suffix = next(iter(plugins.load("formats", name).SUFFIXES), "")
    with tempfile.NamedTemporaryFile(prefix="tunewright-", suffix=suffix) as file:
        file.write(head)
        shutil.copyfileobj(stdin, file, 1 << 20)
        file.flush()
        yield Path(file.name)


def write(frames: Iterator[pl.DataFrame], out: str | Path | BinaryIO, format_name: str = "auto") -> None:
    """Write frames as they come; a path appears whole or not at all.

    format_name : a format's name; ``auto``: by the suffix, csv for a stream. ``.gz`` is packed.

    Raises
    ------
    TunewrightError
        The format is unknown or cannot be written, or the folder cannot be written to.
    """
    if not isinstance(out, str | os.PathLike):
        _writer("csv" if format_name == "auto" else format_name)(frames, out)
        return
    path = Path(out)
    writer = _writer(format_name if format_name != "auto" else format_of(path))
    part = path.with_name(f".{path.name}.part")
    try:
        with open(part, "wb") as file:
            if path.suffix == ".gz":
                with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                    writer(frames, cast("BinaryIO", packed))
            else:
                writer(frames, file)
        os.replace(part, path)
    except (OSError, pl.exceptions.PolarsError) as error:
        why = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        problem = f"{path}: cannot be written: {why}; nothing was changed"
        raise TunewrightError(problem, "choose another --out") from None
    finally:
        if part.parent.is_dir():
            part.unlink(missing_ok=True)


def format_of(path: Path, options: Data | None = None) -> str:
    """The format of a file or folder: as asked for, or by its suffix (``.gz`` not counted).

    A suffix that no format has is read as tsv if a separator is given.
    """
    options = options or Data()
    if options.format != "auto":
        return options.format
    if path.is_dir():
        return "folders"
    name = path.name.lower().removesuffix(".gz")
    for one in plugins.names("formats"):
        if name.endswith(tuple(plugins.load("formats", one).SUFFIXES) or ("\0",)):
            return one
    if options.separator:
        return "tsv"
    known = ", ".join(plugins.names("formats"))
    raise TunewrightError(
        f"{path}: its name does not say how rows lie in it", f"pass --set data.format=…, one of: {known}"
    )


def scan_of(source: str | os.PathLike[str], options: Data) -> Scan:
    """Open a file or folder by its format, without reading its rows yet."""
    path = Path(source)
    if not path.exists():
        raise TunewrightError(f"{path}: there is no such file", _neighbour(path))
    module: ModuleType = plugins.load("formats", format_of(path, options))
    if path.is_dir() and module.SUFFIXES:
        raise TunewrightError(f"{path}: it is a folder", "name a file, or leave data.format out")
    try:
        return cast("Scan", module.scan(path, options))
    except PermissionError:
        raise TunewrightError(f"{path}: it may not be read", "change its permissions") from None


def _writer(name: str) -> Any:
    module = plugins.load("formats", name)
    if not hasattr(module, "write"):
        raise TunewrightError(f"the format {name} cannot be written", "write .csv, .tsv, .jsonl or .parquet")
    return module.write


def _neighbour(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {folder} either; check the path"
    close = nearest(path.name, [one.name for one in folder.iterdir() if not one.name.startswith(".")])
    return close if close.startswith("did") else "check the path"


def _format_of_bytes(head: bytes) -> str:
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"PK\x03\x04"):
        return "xlsx"
    return "jsonl" if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[") else "csv"
