"""Datasets from files, their places and digests, and streams with flat memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Data
from tunewright.data.dataset import read, stream
from tunewright.data.files import write

CSV = "text,label,extra\nhello,a,1\nbye,b,2\nwell,a,3\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "support.csv"
    path.write_text(CSV)
    return path


def test_only_the_columns_asked_for(path: Path) -> None:
    data = read(path, columns=("label", "text"))
    assert data.frame.columns == ["label", "text"]
    assert len(data) == 3
    assert data.source == str(path)


def test_optional_columns_are_read_where_they_are_there(path: Path) -> None:
    for source in (path, {"label": ["a"], "text": ["hello"]}):
        assert read(source, columns=("label",), optional=("text", "shop")).frame.columns == ["label", "text"]


def test_columns_can_be_asked_for_afterwards(path: Path) -> None:
    data = read(path)
    data.require(("text", "label"))
    with pytest.raises(TunewrightError, match=r"support.csv: there is no column 'lable'; .* → did you mean 'label'\?"):
        data.require(("text", "lable"))


def test_columns_are_renamed(path: Path) -> None:
    data = read(path, Data(rename={"label": "category", "missing": "x"}), ("category",))
    assert data.values("category") == ["a", "b", "a"]
    with pytest.raises(TunewrightError, match="there is a column 'extra' already → choose another name"):
        read(path, Data(rename={"label": "extra"}))


def test_taken_rows_keep_their_places(path: Path) -> None:
    part = read(path).take(np.array([2, 0]))
    assert part.values("text") == ["well", "hello"]
    assert [part.place(row) for row in (0, 1)] == [f"{path} line 4", f"{path} line 2"]
    assert part.take([1]).place(0) == f"{path} line 2"


def test_wrong_column(path: Path) -> None:
    with pytest.raises(TunewrightError) as caught:
        read(path, columns=("text", "lable"))
    assert caught.value.problem == f"{path}: there is no column 'lable'; its columns are: text, label, extra"
    assert caught.value.remedy == "did you mean 'label'?"


def test_digest_does_not_know_the_format(path: Path, tmp_path: Path) -> None:
    digest = read(path).digest
    frame = pl.DataFrame({"extra": [1, 2, 3], "text": ["hello", "bye", "well"], "label": ["a", "b", "a"]})
    frame.write_parquet(tmp_path / "support.parquet")
    assert read(tmp_path / "support.parquet").digest == digest
    assert read(pl.concat([frame[:1], frame[1:]], rechunk=False)).digest == digest
    assert read(frame.with_columns(label=pl.lit("a"))).digest != digest
    assert read(frame.rename({"label": "lable"})).digest != digest
    assert read(frame[::-1]).digest != digest


@given(st.lists(st.lists(st.text(max_size=3), min_size=2, max_size=2), min_size=2, max_size=4, unique_by=tuple))
def test_different_cells_have_different_digests(table: list[list[str]]) -> None:
    one, other = ({"a": [row[0]], "b": [row[1]]} for row in table[:2])
    assert read(one).digest != read(other).digest


def test_stream_keeps_columns_and_order(path: Path) -> None:
    frames = list(stream(path, chunk_rows=2))
    assert [len(frame) for frame in frames] == [2, 1]
    assert pl.concat(frames).rows() == [("hello", "a", "1"), ("bye", "b", "2"), ("well", "a", "3")]
    with pytest.raises(TunewrightError, match=r"support\.csv: there is no column 'txt'.* → did you mean 'text'\?"):
        next(stream(path, columns=("txt",)))


def test_stream_of_nothing_tells_its_columns(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("text,label\n")
    assert [frame.schema for frame in stream(tmp_path / "empty.csv")] == [{"text": pl.String, "label": pl.String}]
    assert [frame.columns for frame in stream(pl.DataFrame({"a": []}))] == [["a"]]


def test_stream_tells_a_late_fault(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "a,b\n" * 30_000 + "c\n")
    with pytest.raises(TunewrightError, match=r"rows\.csv line 30002: 1 cell, but 2 columns"):
        list(stream(path))


MEASURE = """
import resource, sys
from tunewright.data.dataset import stream
rows = sum(len(frame) for frame in stream(sys.argv[1]))
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peak_mb(path: Path) -> tuple[int, int]:
    done = subprocess.run([sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True)
    rows, peak = done.stdout.split()
    return int(rows), int(peak)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_stream_has_flat_memory(tmp_path: Path, suffix: str) -> None:
    def frames(rows: int) -> Iterator[pl.DataFrame]:
        for _ in range(rows // 10_000):
            yield pl.DataFrame({"text": [f"where is my card number {at}, please? " * 4 for at in range(10_000)]})

    small, large = tmp_path / f"small{suffix}", tmp_path / f"large{suffix}"
    write(frames(10_000), small)
    write(frames(400_000), large)  # 60 MB of text
    (few, low), (many, high) = peak_mb(small), peak_mb(large)
    assert (few, many) == (10_000, 400_000)
    assert high - low < 40
