"""Quoted cells, separators found, places by line, and every way in which a csv file can be wrong."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Data
from tunewright.data.dataset import Dataset, read
from tunewright.data.formats import csv as format_csv


def rows(tmp_path: Path, text: str, name: str = "support.csv", **options: object) -> Dataset:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return read(path, Data.model_validate(options))


def test_labels_stay_texts_and_empty_cells_are_null(tmp_path: Path) -> None:
    data = rows(tmp_path, 'text,label\na,01\nb,1\n,\n"",x\n')
    assert data.values("label") == ["01", "1", None, "x"]
    assert data.values("text") == ["a", "b", None, None]


def test_places_count_lines_of_the_file(tmp_path: Path) -> None:
    data = rows(tmp_path, 'text,label\r\n"two\r\nlines",a\r\n\r\nb,c\r\n')
    assert data.values("text") == ["two\r\nlines", "b"]
    assert [data.place(row).removeprefix(f"{tmp_path}/") for row in (0, 1)] == [
        "support.csv line 2",
        "support.csv line 5",
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separator_is_found(tmp_path: Path, separator: str) -> None:
    text = (
        f'text{separator}label\n"a{separator} b, c; d | e",x\n'.replace(",x", f"{separator}x")
        + f"f, g{separator}y\n" * 3
    )
    if separator == ",":
        text = text.replace("f, g", "f; g")
    assert rows(tmp_path, text).frame.columns == ["text", "label"]


def test_a_comma_in_texts_does_not_hide_the_semicolon(tmp_path: Path) -> None:
    data = rows(tmp_path, "text;label\n" + "well, yes, of course;a\nno;b\n" * 5)
    assert data.values("text")[:2] == ["well, yes, of course", "no"]
    assert data.notes == ("separator: ';'",)


def test_one_column(tmp_path: Path) -> None:
    assert rows(tmp_path, 'text\nhello\n"a, b"\n\n').values("text") == ["hello", "a, b"]


@pytest.mark.parametrize("separator", [":::", "\t", "@", "||"])
def test_separator_is_given(tmp_path: Path, separator: str) -> None:
    data = rows(tmp_path, f"text{separator}label\na b{separator}c\n", separator=separator)
    assert data.frame.rows() == [("a b", "c")]


def test_columns_are_named(tmp_path: Path) -> None:
    text = "a,b\nc,d\n"
    assert rows(tmp_path, text, header=False).frame.columns == ["column_1", "column_2"]
    named = rows(tmp_path, text, header=False, columns=("text", "label"))
    assert named.frame.rows() == [("a", "b"), ("c", "d")]
    assert rows(tmp_path, text, columns=("text", "label")).frame.to_dicts() == [{"text": "c", "label": "d"}]
    with pytest.raises(
        TunewrightError, match=r"it has 2 columns \(a, b\), data.columns names 1 → name each column once"
    ):
        rows(tmp_path, text, columns=("text",))
    with pytest.raises(TunewrightError, match="two columns are named 'a' → rename one, or pass --columns"):
        rows(tmp_path, "a,a\n1,2\n")


def test_a_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert rows(tmp_path, "\ufefftext,label\na,b\n").frame.columns == ["text", "label"]
    assert rows(tmp_path, "\ufefftext,label\na,b\n", encoding="utf-8").frame.columns == ["text", "label"]


@pytest.mark.parametrize(("line", "have"), [("only", "1 cell"), ("a,b,c", "3 cells")])
def test_uneven_rows_name_their_line(tmp_path: Path, line: str, have: str) -> None:
    text = "text,label\n" + "a,b\n" * 10 + f"{line}\n"
    with pytest.raises(TunewrightError) as caught:
        rows(tmp_path, text)
    assert f"support.csv line 12: {have}, but 2 columns (text, label)" in caught.value.problem
    assert caught.value.remedy == "put cells that hold the separator into double quotes, or pass --separator"


def test_empty_surplus_cells_are_dropped(tmp_path: Path) -> None:
    assert rows(tmp_path, "text,label\na,b,\nc,d,,\n").frame.rows() == [("a", "b"), ("c", "d")]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('text,label\na,b\n"hi" there,b\n', "line 3: malformed quoting: text follows the closing quote of a cell"),
        ('text,label\na,b\n"never closed,b\nc,d\n', "line 3: malformed quoting: a double quote opens a cell"),
    ],
)
def test_malformed_quoting(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(TunewrightError, match=f"support.csv {problem}.* → double the quotes"):
        rows(tmp_path, text)
    assert len(rows(tmp_path, text, format="tsv", separator=",")) >= 2  # the remedy works


def test_a_quote_inside_a_plain_cell_is_a_character(tmp_path: Path) -> None:
    assert rows(tmp_path, 'text,label\n5" disk,b\n').values("text") == ['5" disk']


def test_a_binary_file(tmp_path: Path) -> None:
    path = tmp_path / "image.csv"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 10)
    with pytest.raises(TunewrightError, match=r"image\.csv: this is no text file.* → name a text file"):
        read(path)


@pytest.mark.parametrize(("text", "problem"), [("", "the file is empty"), ("\n\n", "the file has no rows")])
def test_an_empty_file(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(TunewrightError, match=f"support.csv: {problem} → name a file with a header line and rows"):
        rows(tmp_path, text)


def test_header_only(tmp_path: Path) -> None:
    data = rows(tmp_path, "text,label\n")
    assert (len(data), data.frame.columns) == (0, ["text", "label"])


def test_ten_megabytes_in_one_cell(tmp_path: Path) -> None:
    data = rows(tmp_path, 'text,label\n"' + "long \n" * 1_750_000 + '",a\nb,c\n')
    assert len(data.values("text")[0]) == 10_500_000
    assert data.place(1).endswith("line 1750003")


def test_gzip(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(b"text,label\na,b\n"))
    assert read(path).frame.rows() == [("a", "b")]


CELLS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",), exclude_characters="\0\r"), max_size=20)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=20))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, table: list[tuple[str, str]]) -> None:
    path = tmp_path_factory.mktemp("round") / "rows.csv"
    frame = pl.DataFrame(table, schema={"text": pl.String, "label": pl.String}, orient="row")
    format_csv.write(iter([frame[: len(frame) // 2], frame[len(frame) // 2 :]]), path)
    controls = sum(cell.count(chr(code)) for row in table for cell in row for code in (*range(9), *range(14, 32), 127))
    if controls <= 2:  # more of them make a file binary
        again = read(path, Data(separator=",", encoding="utf-8"))
        assert again.frame.rows() == [(one or None, other or None) for one, other in table]
