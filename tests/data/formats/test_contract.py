"""What every format must do; a new file in the folder is tested by itself."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
import pytest

from tunewright.core import plugins
from tunewright.core.sections import Data
from tunewright.data.dataset import read, stream
from tunewright.data.files import write
from tunewright.data.formats._scan import Scan

NAMES = plugins.names("formats")
WRITTEN = [name for name in NAMES if hasattr(plugins.load("formats", name), "write")]
FRAME = pl.DataFrame(
    {"text": ["a, b", 'say "hi"', "two\nlines", None, "tab\there"], "label": ["01", "1", "x;y", "z", None]}
)


def test_the_formats() -> None:
    assert set(NAMES) >= {"csv", "tsv", "jsonl", "parquet", "xlsx", "folders"}
    assert set(WRITTEN) >= {"csv", "tsv", "jsonl", "parquet", "xlsx"}


@pytest.mark.parametrize("name", NAMES)
def test_help_and_suffixes(name: str) -> None:
    assert 20 < len(plugins.summary("formats", name)) <= 120
    suffixes = plugins.load("formats", name).SUFFIXES
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in suffixes)


def test_no_suffix_belongs_to_two_formats() -> None:
    suffixes = [suffix for name in NAMES for suffix in plugins.load("formats", name).SUFFIXES]
    assert len(suffixes) == len(set(suffixes))


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_is_read_again(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"rows{plugins.load('formats', name).SUFFIXES[0]}"
    write(iter([FRAME[:2], FRAME[2:]]), path)
    again = read(path)
    assert again.frame.equals(FRAME)
    assert again.digest == read(FRAME).digest
    assert pl.concat(stream(path, chunk_rows=2)).equals(FRAME)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_scan_is_lazy_and_can_be_read_twice(tmp_path: Path, name: str) -> None:
    path = tmp_path / "rows"
    write(iter([FRAME]), path, name)
    scan = plugins.load("formats", name).scan(path, Data())
    assert isinstance(scan, Scan)
    assert isinstance(scan.frame, pl.LazyFrame)
    assert scan.frame.collect().equals(scan.frame.collect())
    assert scan.frame.select("label").head(2).collect()["label"].to_list() == ["01", "1"]
    assert scan.frame.filter(pl.col("label") == "z").collect().height == 1


@pytest.mark.parametrize("name", WRITTEN)
def test_no_frames_and_streams(name: str) -> None:
    out = io.BytesIO()
    write(iter([FRAME.clear()]), out, name)
    assert isinstance(out.getvalue(), bytes)


@pytest.mark.parametrize("name", ["csv", "tsv", "jsonl", "xlsx"])
def test_nested_cells_can_be_written(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"rows{plugins.load('formats', name).SUFFIXES[0]}"
    write(iter([pl.DataFrame({"labels": [["a", "b"], None]})]), path)
    first = read(path).values("labels")[0]
    assert first == (["a", "b"] if name == "jsonl" else '["a", "b"]')
