"""Which encoding a text file has, found from its bytes, and the file opened as text. Standard library only."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, TextIO, cast

from tunewright.core.errors import TunewrightError, nearest

BLOCK_BYTES = 1 << 20
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16", "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16", "utf-16-be"),
)
"""Bytes at the start of a file, the codec that they speak for, and the same codec without them."""
MAGIC = ((b"PK\x03\x04", "xlsx"), (b"PAR1", "parquet"))
NAMES = ("utf-8", "utf-8-sig", "utf-16", "gb18030", "cp1252", "latin-1")
"""What ``detect`` can answer; any other codec of Python may be asked for by name."""

CONTROL = bytes(code for code in range(32) if code not in b"\t\n\r\x0b\x0c\x1a\x1b") + b"\x7f"
UNDEFINED_IN_CP1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
GB_PAIR = re.compile(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]")
GB_COMMON = re.compile(rb"[\xa1-\xa3\xb0-\xd7][\xa1-\xfe]")
GB_COMMON_SHARE = 0.6
"""A real GB text is mostly punctuation (A1-A3) and common characters (B0-D7); a Western text read so is not."""
STRONG_BYTES = 6
"""A line of GB text with so many high bytes is valid utf-8 by chance practically never."""


@dataclass(frozen=True)
class Encoding:
    """What was found: the codec's name, the name to show, whether a double quote occurs anywhere (utf-8 files only)."""

    codec: str
    shown: str
    quotes: bool = True

    @property
    def notes(self) -> tuple[str, ...]:
        if self.codec == "utf-8":
            return ()
        return (f"encoding: {self.shown}; if the texts look wrong, pass --set data.encoding=…",)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file; gzip is unpacked on the way, whatever the file's name."""
    with open(path, "rb") as raw:
        if raw.peek(2)[:2] != b"\x1f\x8b":
            yield raw
            return
        with gzip.open(raw, "rb") as unpacked:
            try:
                yield cast("IO[bytes]", unpacked)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise TunewrightError(f"{path}: the gzip file is damaged: {error}", "copy the file again") from None


@contextmanager
def opened_text(path: Path, encoding: Encoding) -> Iterator[TextIO]:
    """The file as text, line ends untouched."""
    with opened(path) as file:
        text = io.TextIOWrapper(file, encoding.codec, newline="")
        try:
            yield text
        finally:
            text.detach()


def encoding_of(path: Path, wanted: str = "auto") -> Encoding:
    """The file's encoding, checked over all of its bytes.

    Parameters
    ----------
    path : a text file, or one in gzip
    wanted : a codec's name, or ``auto``: utf-8 if all bytes are; else gb18030 if all lines are and most characters are
        common ones; else cp1252 (latin-1 where cp1252 has no character for a byte)

    Raises
    ------
    TunewrightError
        The file is empty or binary, holds several encodings, or is not in the encoding that was asked for.
    """
    with opened(path) as file:
        head = file.read(4)
        if not head:
            raise TunewrightError(f"{path}: the file is empty", "name a file with a header line and rows")
        if wanted != "auto":
            return _asked(path, wanted)
        for bom, codec, _ in MARKS:
            if head.startswith(bom):
                return _with_bom(path, codec)
        clean, quotes = _is_utf8(path, chain((head,), _blocks(file)))
    return Encoding("utf-8", "utf-8", quotes) if clean else _by_lines(path)


def refuse_binary(path: Path, block: bytes, byte: int = 0) -> None:
    """Stop at the mark of a known binary format, at a NUL byte, or at many control characters.

    byte : where in the file the block begins
    """
    for magic, name in MAGIC:
        if not byte and block.startswith(magic):
            raise TunewrightError(f"{path}: this is no text file but {name}", f"pass --set data.format={name}")
    if b"\0" in block:
        raise TunewrightError(
            f"{path}: this is no text file: NUL at byte {byte + block.index(0)}",
            "name a text file; for utf-16 without a mark pass --set data.encoding=utf-16-le",
        )
    controls = len(block) - len(block.translate(None, CONTROL))
    if controls > 2 + len(block) // 100:
        raise TunewrightError(
            f"{path}: this is no text file: {controls} control characters in {len(block)} bytes",
            "name a text file, or the right data.format",
        )


@dataclass
class Guess:
    """gb18030, cp1252 or latin-1 for texts that are not utf-8, judged together."""

    gb: bool = True
    pairs: int = 0
    common: int = 0
    undefined: bool = False

    def add(self, piece: bytes) -> None:
        self.undefined = self.undefined or bool(UNDEFINED_IN_CP1252.search(piece))
        self.gb = self.gb and _decodes(codecs.getincrementaldecoder("gb18030")("strict"), piece, final=True)
        if self.gb:
            self.pairs += len(GB_PAIR.findall(piece))
            self.common += len(GB_COMMON.findall(piece))

    @property
    def codec(self) -> str:
        if self.gb and self.pairs and self.common >= GB_COMMON_SHARE * self.pairs:
            return "gb18030"
        return "latin-1" if self.undefined else "cp1252"


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: file.read(BLOCK_BYTES), b"")


def _is_utf8(path: Path, blocks: Iterator[bytes]) -> tuple[bool, bool]:
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    clean, quotes, done = True, False, 0
    for block in blocks:
        refuse_binary(path, block, done)
        done += len(block)
        quotes = quotes or b'"' in block
        if clean:
            clean = _decodes(decoder, block, final=False)
    return clean and _decodes(decoder, b"", final=True), quotes


def _decodes(decoder: codecs.IncrementalDecoder, block: bytes, *, final: bool) -> bool:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError:
        return False
    return True


def _asked(path: Path, wanted: str) -> Encoding:
    try:
        codec = codecs.lookup(wanted).name
    except LookupError:
        raise TunewrightError(f"data.encoding: there is no encoding {wanted!r}", nearest(wanted, NAMES)) from None
    if codec == "utf-8":
        codec = "utf-8-sig"  # the same, and a mark at the start is no part of the first column's name
    if not codec.startswith(("utf-16", "utf-32")):  # in which every other byte of plain English is NUL
        with opened(path) as file:
            refuse_binary(path, file.read(BLOCK_BYTES))
    fault = _first_fault(path, codec)
    if fault:
        raise TunewrightError(f"{path} {fault}: not {wanted}", "pass --set data.encoding=auto, or the right one")
    return Encoding(codec, wanted)


def _with_bom(path: Path, codec: str) -> Encoding:
    fault = _first_fault(path, codec)
    shown = "utf-8 with BOM" if codec == "utf-8-sig" else "utf-16"
    if fault:
        raise TunewrightError(
            f"{path} {fault}: mixed encodings: the file starts with the mark of {shown}, but here it is none",
            "convert the file to one encoding, or pass --set data.encoding=…",
        )
    return Encoding(codec, shown)


def _first_fault(path: Path, codec: str) -> str:
    """Line and byte of the first bytes that the codec cannot read; empty if it can read them all."""
    with opened(path) as file:
        head = file.read(4)
        codec, done = _after_mark(head, codec)
        decoder, line = codecs.getincrementaldecoder(codec)("strict"), 1
        for block in chain(filter(None, (head[done:],)), _blocks(file), (b"",)):
            pending = decoder.getstate()[0]
            try:
                text = decoder.decode(block, not block)
            except UnicodeDecodeError as error:
                lines = (pending + block)[: error.start].decode(codec, "replace").count("\n")
                return f"line {line + lines}, byte {done - len(pending) + error.start}"
            line += text.count("\n")
            done += len(block)
    return ""


def _after_mark(head: bytes, codec: str) -> tuple[str, int]:
    """The codec to go on with behind the mark at the start of a file, and the length of the mark."""
    for mark, name, plain in MARKS:
        if name == codec and head.startswith(mark):
            return plain, len(mark)
    return codec, 0


@dataclass
class _Lines:
    """Lines with high bytes, of one sort: how many, and where the first one begins."""

    count: int = 0
    line: int = 0
    byte: int = 0

    def add(self, line: int, byte: int) -> None:
        if not self.count:
            self.line, self.byte = line, byte
        self.count += 1


def _by_lines(path: Path) -> Encoding:
    """For a file that is not all utf-8: one other encoding, or a mixture."""
    utf8, strong, other = _Lines(), _Lines(), _Lines()
    odd = Guess()
    byte = 0
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            if not line.isascii():
                start = _utf8_fault(line)
                if start < 0:
                    utf8.add(number, byte)
                    if len(line) - len(line.translate(None, bytes(range(128, 256)))) >= STRONG_BYTES:
                        strong.add(number, byte)
                else:
                    other.add(number, byte + start)
                    odd.add(line)
            byte += len(line)
    codec = odd.codec
    alien = strong if codec == "gb18030" else utf8
    if alien.count:
        raise _mixed(path, codec, alien, other)
    return Encoding(codec, codec)


def _utf8_fault(line: bytes) -> int:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return -1


def _mixed(path: Path, codec: str, utf8: _Lines, other: _Lines) -> TunewrightError:
    few, many, names = (other, utf8, (codec, "utf-8")) if other.count <= utf8.count else (utf8, other, ("utf-8", codec))
    lines = "line is" if few.count == 1 else "lines are"
    found = f"{few.count} {lines} {names[0]}, {many.count} {names[1]}"
    return TunewrightError(
        f"{path} line {few.line}, byte {few.byte}: mixed encodings: {found}",
        f"convert the file to one encoding, or read it all as one: --set data.encoding={codec}",
    )
