"""Datasets from files and frames, their places and digests, streams with flat memory, output files."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Data
from tunewright.data.dataset import as_texts, format_of, read, spooled, stream, write

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


def test_missing_file(path: Path) -> None:
    with pytest.raises(TunewrightError, match=r"suport\.csv: there is no such file → did you mean 'support\.csv'\?"):
        read(path.with_name("suport.csv"))
    with pytest.raises(TunewrightError, match=r"no folder .*/none either; check the path"):
        read(path.parent / "none" / "a.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(path: Path) -> None:
    path.chmod(0)
    with pytest.raises(TunewrightError, match="it may not be read → change its permissions"):
        read(path)


def test_format_of_a_file(path: Path, tmp_path: Path) -> None:
    assert format_of(tmp_path) == "folders"
    assert format_of(Path("a.CSV.gz")) == "csv"
    assert format_of(Path("stsa.train"), Data(separator=" ")) == "tsv"
    assert format_of(Path("a.csv"), Data(format="jsonl")) == "jsonl"
    with pytest.raises(TunewrightError, match=r"its name does not say how rows lie in it → pass --set data.format="):
        format_of(Path("stsa.train"))
    with pytest.raises(TunewrightError, match=r"there is no format 'cvs' → did you mean 'csv'\?"):
        read(path, Data(format="cvs"))
    with pytest.raises(TunewrightError, match="it is a folder → name a file"):
        read(tmp_path, Data(format="csv"))


def test_frames_of_all_sorts() -> None:
    columns = {"text": ["a", None, "c"], "label": [1, 2, None], "score": [0.5, 1.0, float("nan")]}
    polars = read(pl.DataFrame(columns))
    for source in (pd.DataFrame(columns), columns, pl.LazyFrame(columns), pd.DataFrame(columns, index=[7, 8, 9])):
        data = read(source)
        assert data.values("text") == ["a", None, "c"]
        assert as_texts(data.frame["label"]).to_list() == ["1", "2", None]
        assert data.digest == polars.digest
    assert polars.place(1) == "the frame row 1"
    assert read({"a": np.arange(3)}).values("a") == [0, 1, 2]


def test_a_pandas_column_of_categories() -> None:
    frame = pd.DataFrame({"label": pd.Categorical(["b", None, "a"]), 5: [1, 2, 3]})
    assert read(frame).values("label") == ["b", None, "a"]
    assert read(frame).frame.columns == ["label", "5"]


def test_what_is_no_source() -> None:
    with pytest.raises(TunewrightError, match="rows cannot be read from int → give a path, a frame"):
        read(7)
    with pytest.raises(TunewrightError, match=r"the columns differ in length \(a: 1, b: 2\)"):
        read({"a": [1], "b": [1, 2]})
    with pytest.raises(TunewrightError, match="the frame: there is no column 'text'"):
        read(pd.DataFrame({"a": [1]}), columns=("text",))
    with pytest.raises(TunewrightError, match="two columns are named 'a'"):
        read(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_pandas_is_not_imported() -> None:
    code = (
        "import sys; from tunewright.data.dataset import read; read({'a': [1]}).digest; "
        "print([name for name in ('pandas', 'fastexcel', 'xlsxwriter', 'pyarrow', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


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


def test_a_pipe(tmp_path: Path) -> None:
    parquet = io.BytesIO()
    pl.DataFrame({"text": ["a"]}).write_parquet(parquet)
    for content in (b"text\na\n", b'{"text": "a"}\n', b'[{"text": "a"}]', parquet.getvalue()):
        with spooled(io.BytesIO(content)) as path:
            data = read(path, name="stdin")
            assert data.values("text") == ["a"]
            assert data.place(0).startswith("stdin ")
        assert not path.exists()
    with spooled(io.BytesIO(b"text\ta\n"), "tsv") as path:
        assert read(path).frame.columns == ["text", "a"]


def test_errors_name_the_pipe_not_the_temporary_file() -> None:
    with spooled(io.BytesIO(b"text,label\na\n")) as path:
        with pytest.raises(TunewrightError, match=r"^stdin line 2: 1 cell"):
            read(path, name="stdin")
        with pytest.raises(TunewrightError, match=r"^stdin: there is no column 'txt'"):
            list(stream(path, columns=("txt",), name="stdin"))


def test_output_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def failing() -> Iterator[pl.DataFrame]:
        yield pl.DataFrame({"a": [1]})
        raise RuntimeError

    out = tmp_path / "out.csv"
    with pytest.raises(RuntimeError):
        write(failing(), out)
    assert not list(tmp_path.iterdir())


def test_output_formats(tmp_path: Path) -> None:
    write(iter([pl.DataFrame({"a": ["x", None]})]), tmp_path / "out.csv.gz")
    assert gzip.decompress((tmp_path / "out.csv.gz").read_bytes()) == b'a\nx\n""\n'
    stdout = io.BytesIO()
    write(iter([pl.DataFrame({"a": ["x"], "b": [0.5]})]), stdout)
    assert stdout.getvalue() == b"a,b\nx,0.5\n"
    with pytest.raises(TunewrightError, match=r"the format folders cannot be written → write .csv"):
        write(iter([]), tmp_path / "x", "folders")
    with pytest.raises(TunewrightError, match=r"none/out.csv: cannot be written: .* → choose another --out"):
        write(iter([]), tmp_path / "none" / "out.csv")
