"""Text files in one folder per class: columns text, label (the folder's name) and file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import polars as pl

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Data
from tunewright.data.encoding import Guess, refuse_binary
from tunewright.data.formats._scan import PLACE, Scan, named, streamed

SUFFIXES: tuple[str, ...] = ()
FILES = 256
"""Files that one frame holds."""


def scan(path: Path, options: Data) -> Scan:
    """Every file in ``path/CLASS/``, in sorted order; hidden ones are left out.

    A file is read as utf-8 if all its bytes are; the others are judged together: gb18030, cp1252 or latin-1.
    """
    files = _files(path)
    other, counts = _encodings(files) if options.encoding == "auto" else (options.encoding, Counter())
    names = named(["text", "label", "file"], _three(options.columns), path)
    schema = {**dict.fromkeys(names, pl.String()), PLACE: pl.String()}

    def frames() -> Iterator[pl.DataFrame]:
        left = iter(files)
        while chunk := list(islice(left, FILES)):
            relative = [file.relative_to(path).as_posix() for file in chunk]
            texts = [_text(file, other, options.encoding != "auto") for file in chunk]
            cells = (texts, [file.split("/")[0] for file in relative], relative, relative)
            yield pl.DataFrame(dict(zip(schema, cells, strict=True)), schema=schema)

    shown = ", ".join(f"{name} ({count} files)" for name, count in counts.most_common()) or other
    return Scan(streamed(frames, schema), shown, 0, (f"encoding: {shown}",) if other != "utf-8" else ())


def _three(columns: Sequence[str]) -> Sequence[str]:
    return (*columns, "file") if len(columns) == 2 else columns


def _files(path: Path) -> list[Path]:
    classes = sorted(one for one in path.iterdir() if one.is_dir() and not one.name.startswith("."))
    if not classes:
        raise TunewrightError(f"{path}: there is no folder in it", "give one folder of text files per class")
    files: list[Path] = []
    for folder in classes:
        inside = sorted(one for one in folder.iterdir() if not one.name.startswith("."))
        own = [one for one in inside if one.is_file()]
        if inside and not own:
            raise TunewrightError(
                f"{folder}: it holds folders, not texts", f"name the folder of one part, such as {folder}"
            )
        files.extend(own)
    if not files:
        raise TunewrightError(f"{path}: its folders hold no files", "give one folder of text files per class")
    return files


def _encodings(files: Sequence[Path]) -> tuple[str, Counter[str]]:
    guess, odd = Guess(), 0
    for file in files:
        block = file.read_bytes()
        refuse_binary(file, block)
        try:
            block.decode("utf-8")
        except UnicodeDecodeError:
            guess.add(block)
            odd += 1
    counts = Counter({"utf-8": len(files) - odd, guess.codec: odd})
    return (guess.codec if odd else "utf-8"), +counts


def _text(file: Path, other: str, asked: bool) -> str | None:
    block = file.read_bytes()
    try:
        return (block.decode(other) if asked else _decoded(block, other)) or None
    except UnicodeDecodeError as error:
        raise TunewrightError(f"{file} byte {error.start}: not {other}", "pass --set data.encoding=auto") from None
    except LookupError:
        raise TunewrightError(
            f"data.encoding: there is no encoding {other!r}", "pass --set data.encoding=auto"
        ) from None


def _decoded(block: bytes, other: str) -> str:
    try:
        return block.decode("utf-8-sig")
    except UnicodeDecodeError:
        return block.decode(other)
