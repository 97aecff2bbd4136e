"""Spreadsheets: every cell as text, rows by their number in the sheet, sheets by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import xlsxwriter

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Data
from tunewright.data.dataset import read


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.xlsx"
    with xlsxwriter.Workbook(path) as file:
        sheet = file.add_worksheet("one")
        for at, row in enumerate([["text", "label", "score"], ["a", 1, 1.5], [], ["b", "01", 2], ["=c", "", None]]):
            for column, cell in enumerate(row):
                sheet.write(at, column, cell) if cell != "=c" else sheet.write_string(at, column, "=c")
        second = file.add_worksheet("two")
        second.write_row(0, 0, ["x"])
        file.add_worksheet("none")
    return path


def test_cells_are_texts_and_places_are_rows_of_the_sheet(book: Path) -> None:
    data = read(book)
    assert data.frame.rows() == [("a", "1", "1.5"), ("b", "01", "2"), ("=c", None, None)]
    assert data.place(1).endswith("book.xlsx row 4")


def test_without_header(book: Path) -> None:
    data = read(book, Data(header=False, columns=("a", "b", "c")))
    assert data.frame.row(0) == ("text", "label", "score")
    assert data.place(0).endswith("row 1")


def test_sheets(book: Path) -> None:
    assert len(read(book, Data(sheet="two"))) == 0
    with pytest.raises(TunewrightError, match=r"there is no sheet 'tow' → did you mean 'two'\?"):
        read(book, Data(sheet="tow"))
    with pytest.raises(TunewrightError, match="the sheet is empty → name a sheet"):
        read(book, Data(sheet="none"))


@pytest.mark.parametrize(("data", "problem"), [(b"", "the file is empty"), (b"text\na\n", "not a spreadsheet")])
def test_no_spreadsheet(tmp_path: Path, data: bytes, problem: str) -> None:
    (tmp_path / "rows.xlsx").write_bytes(data)
    with pytest.raises(TunewrightError, match=rf"rows\.xlsx: {problem}"):
        read(tmp_path / "rows.xlsx")
