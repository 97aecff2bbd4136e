"""Whatever callers hand over, brought into columns – or refused with the row and the nearest column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tunewright.core.errors import TunewrightError
from tunewright.runtime.inputs import as_columns

TABLE = {"subject": ["a", "b"], "body": ["x", ""], "number": [1, 2]}
RECORDS = [{"subject": "a", "body": "x", "number": 1}, {"subject": "b", "body": "", "number": 2}]


@pytest.mark.parametrize(
    "inputs",
    [TABLE, RECORDS, tuple(RECORDS), pl.DataFrame(TABLE), pd.DataFrame(TABLE), pd.DataFrame(TABLE, index=[7, 3])],
    ids=["columns", "records", "tuple", "polars", "pandas", "pandas-index"],
)
def test_every_form_of_a_table_gives_the_same_columns(inputs: Any) -> None:
    assert as_columns(inputs, ["body", "subject"]) == [["x", ""], ["a", "b"]]
    assert as_columns(inputs, ["subject"]) == [["a", "b"]]


@pytest.mark.parametrize(
    "inputs",
    [
        ["a", "b"],
        ("a", "b"),
        iter(["a", "b"]),
        (one for one in "ab"),
        pl.Series(["a", "b"]),
        pd.Series(["a", "b"], index=[5, 1]),
        np.array(["a", "b"]),
        ["a", {"subject": "b"}],
        {"subject": ("a", "b")},
        {"subject": np.array(["a", "b"], object)},
    ],
)
def test_bare_values_are_the_only_column(inputs: Any) -> None:
    assert as_columns(inputs, ["subject"]) == [["a", "b"]]


@pytest.mark.parametrize("inputs", [[], (), {"subject": []}, pl.DataFrame({"subject": []}), iter([])])
def test_no_rows_are_no_error(inputs: Any) -> None:
    assert as_columns(inputs, ["subject"]) == [[]]


def test_missing_values_are_left_to_the_modality() -> None:
    assert as_columns(pl.DataFrame({"a": ["x", None]}), ["a"]) == [["x", None]]
    assert as_columns([{"a": None}], ["a"]) == [[None]]


@pytest.mark.parametrize(
    ("inputs", "names", "problem", "remedy"),
    [
        ("one text", ["a"], "the inputs are a single text", "give a list"),
        (b"bytes", ["a"], "the inputs are a single text", "give a list"),
        ({"a": "one text"}, ["a"], "column 'a' is a single text", 'give a list: {"a": ["…"]}'),
        (TABLE, ["bodi"], "the rows have no column 'bodi'", "did you mean 'body'?"),
        (pl.DataFrame(TABLE), ["bodi"], "the rows have no column 'bodi'", "did you mean 'body'?"),
        (pd.DataFrame(TABLE), ["bodi"], "the rows have no column 'bodi'", "did you mean 'body'?"),
        (pd.DataFrame({0: ["a"]}), ["text"], "the rows have no column 'text'", "use one of: 0"),
        ([RECORDS[0], {"subjct": "b"}], ["subject"], "row 1: column 'subject' is missing", "did you mean 'subjct'?"),
        ([{}], ["subject"], "row 0: column 'subject' is missing", "use one of: (there is none)"),
        (["a"], ["subject", "body"], "row 0: 'a' is one value, but the inputs are subject, body", "give records"),
        (
            [RECORDS[0], 5],
            ["subject", "body"],
            "row 1: 5 is one value, but the inputs are subject, body",
            "give records",
        ),
        ({"a": ["x", "y"], "b": ["z"]}, ["a", "b"], "column 'b' has 1 values and 'a' has 2", "give columns of one"),
    ],
)
def test_what_does_not_fit_is_named(inputs: Any, names: list[str], problem: str, remedy: str) -> None:
    with pytest.raises(TunewrightError) as caught:
        as_columns(inputs, names)
    assert caught.value.problem == problem
    assert caught.value.remedy.startswith(remedy)


def test_a_long_value_is_not_repeated_in_full() -> None:
    with pytest.raises(TunewrightError) as caught:
        as_columns(["x" * 10_000], ["a", "b"])
    assert len(str(caught.value)) < 250
