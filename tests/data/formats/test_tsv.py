"""Lines of cells: stray quotes, files that do quote, surplus separators."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Data
from tunewright.data.dataset import Dataset, read


def rows(tmp_path: Path, text: str, name: str = "reviews.txt", **options: object) -> Dataset:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return read(path, Data.model_validate(options))


def test_stray_quotes_are_characters(tmp_path: Path) -> None:
    text = 'text\tlabel\n"Great" film\t1\n5" disk\t0\n"never closed\t1\nend"\t0\n'
    data = rows(tmp_path, text)
    assert data.values("text") == ['"Great" film', '5" disk', '"never closed', 'end"']
    assert data.place(3).endswith("line 5")


def test_two_stray_quotes_do_not_swallow_the_lines_between(tmp_path: Path) -> None:
    data = rows(tmp_path, 'text\tlabel\n"It opens\t1\nplain\t0\nand closes"\t1\n')
    assert len(data) == 3


def test_a_file_that_quotes_is_read_as_quoted(tmp_path: Path) -> None:
    data = rows(tmp_path, 'text\tlabel\n"two\nlines"\ta\n"say ""hi"""\tb\nplain\tc\n', "rows.tsv")
    assert data.values("text") == ["two\nlines", 'say "hi"', "plain"]


def test_surplus_separators_stay_in_the_text_before(tmp_path: Path) -> None:
    lines = "mail me@home now@good\nno@bad\na@b@c@bad\nfine@good\n"
    data = rows(tmp_path, lines, separator="@", header=False, columns=("text", "label"))
    assert data.frame.rows() == [("mail me@home now", "good"), ("no", "bad"), ("a@b@c", "bad"), ("fine", "good")]
    assert data.notes == ("lines with more than 1 of '@': the surplus stays in column text",)


def test_surplus_separators_stay_in_the_text_behind(tmp_path: Path) -> None:
    lines = "1 a stirring , funny film\n0 no\n1 one long string\n0 it is dull\n"
    data = rows(tmp_path, lines, "stsa.train", separator=" ", header=False, columns=("label", "text"))
    assert data.frame.rows()[0] == ("1", "a stirring , funny film")
    assert data.values("label") == ["1", "0", "1", "0"]


def test_surplus_separators_between_two_columns(tmp_path: Path) -> None:
    texts = ["a stirring film", "no", "it goes on and on", "why not", "one long string of jokes"]
    lines = "".join(f"{at % 2} {text} {'en' if at % 3 else 'de'}\n" for at, text in enumerate(texts))
    data = rows(tmp_path, lines, separator=" ", header=False, columns=("label", "text", "language"))
    assert data.values("text") == texts
    assert data.values("language") == ["de", "en", "en", "de", "en"]


def test_several_characters(tmp_path: Path) -> None:
    data = rows(tmp_path, 'text ::: label\n"a" b ::: c\n', separator=" ::: ")
    assert data.frame.to_dicts() == [{"text": '"a" b', "label": "c"}]


def test_a_surplus_tab_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TunewrightError, match=r"reviews\.txt line 3: 3 cells, but 2 columns \(text, label\)"):
        rows(tmp_path, "text\tlabel\na\tb\na\tb\tc\n")


def test_too_few_cells(tmp_path: Path) -> None:
    with pytest.raises(TunewrightError, match=r"reviews\.txt line 3: 1 cell, but 2 columns \(text, label\)"):
        rows(tmp_path, "text@label\na@b@c\nnothing\n", separator="@")


def test_no_tab_where_columns_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(
        TunewrightError, match=r"reviews\.txt line 1: no '\\t' in it, but 2 columns.* → pass --separator"
    ):
        rows(tmp_path, "a@b\n", header=False, columns=("text", "label"))


def test_one_text_a_line(tmp_path: Path) -> None:
    data = rows(tmp_path, "hello, you\n\nbye\n", header=False, columns=("text",))
    assert data.values("text") == ["hello, you", "bye"]
    assert data.place(1).endswith("line 3")
