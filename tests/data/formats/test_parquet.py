"""Parquet: types kept, files that are none."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Data
from tunewright.data.dataset import read
from tunewright.data.formats import parquet


def test_types_stay_and_categories_become_texts(tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": [1, 2], "label": pl.Series(["a", "b"], dtype=pl.Categorical)})
    frame.write_parquet(tmp_path / "rows.parquet")
    data = read(tmp_path / "rows.parquet", Data(columns=("score", "label")))
    assert data.frame.schema == {"score": pl.Int64, "label": pl.String}
    assert data.place(1).endswith("rows.parquet row 2")


def test_frames_are_written_one_after_the_other(tmp_path: Path) -> None:
    frames = [pl.DataFrame({"a": [1, 2]}), pl.DataFrame({"a": [3]})]
    parquet.write(iter(frames), tmp_path / "out.parquet")
    assert pl.read_parquet(tmp_path / "out.parquet")["a"].to_list() == [1, 2, 3]


@pytest.mark.parametrize(
    ("data", "problem"), [(b"", "the file is empty"), (b"text,label\na,b\n" * 9, "not a Parquet file")]
)
def test_no_parquet(tmp_path: Path, data: bytes, problem: str) -> None:
    (tmp_path / "rows.parquet").write_bytes(data)
    with pytest.raises(TunewrightError, match=rf"rows\.parquet: {problem}"):
        read(tmp_path / "rows.parquet")
