"""Rows from frames and mappings of the caller, and columns as texts."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tunewright.core.errors import TunewrightError
from tunewright.data.dataset import read
from tunewright.data.frames import as_texts


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
