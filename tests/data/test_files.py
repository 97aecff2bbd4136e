"""Files of rows: found, told apart by name and first bytes, opened; pipes; output that appears whole or not at all."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Data
from tunewright.data.dataset import read, stream
from tunewright.data.files import format_of, spooled, write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "support.csv"
    path.write_text("text,label\nhello,a\n")
    return path


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
