"""Records a line, lists of records, lists of cells; types, and broken lines by their number."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Data
from tunewright.data.dataset import Dataset, read


def rows(tmp_path: Path, text: str, name: str = "rows.jsonl", **options: object) -> Dataset:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return read(path, Data.model_validate(options))


def test_records_with_their_lines(tmp_path: Path) -> None:
    data = rows(tmp_path, '{"text": "a", "n": 1}\n\n{"n": 2.5, "label": "x"}\r\n')
    assert data.frame.to_dicts() == [{"text": "a", "n": 1.0, "label": None}, {"text": None, "n": 2.5, "label": "x"}]
    assert [data.place(row).split("/")[-1] for row in (0, 1)] == ["rows.jsonl line 1", "rows.jsonl line 3"]


def test_a_column_of_several_types_is_text(tmp_path: Path) -> None:
    data = rows(tmp_path, '{"label": 1}\n{"label": "01"}\n{"label": true}\n{"label": null}\n')
    assert data.values("label") == ["1", "01", "true", None]


def test_lists_of_labels_stay_lists(tmp_path: Path) -> None:
    data = rows(tmp_path, '{"labels": ["a", "b"]}\n{"labels": []}\n')
    assert data.values("labels") == [["a", "b"], []]


def test_a_late_change_of_type_is_seen(tmp_path: Path) -> None:
    data = rows(tmp_path, '{"n": 1}\n' * 20_000 + '{"n": "many"}\n')
    assert data.frame.schema["n"] == pl.String
    assert data.values("n")[-2:] == ["1", "many"]


def test_a_list_of_records(tmp_path: Path) -> None:
    data = rows(tmp_path, '[{"text": "a", "label": 1},\n {"text": "b", "label": 2}]', "rows.json")
    assert data.frame.rows() == [("a", 1), ("b", 2)]
    assert data.place(1).endswith("rows.json row 2")


def test_a_list_of_cells(tmp_path: Path) -> None:
    text = '[["a", 1], ["b", 0]]'
    named = rows(tmp_path, text, "rows.json", header=False, columns=("text", "label"))
    assert named.frame.rows() == [("a", 1), ("b", 0)]
    assert rows(tmp_path, '[["text", "label"], ["b", 0]]', "rows.json").frame.to_dicts() == [{"text": "b", "label": 0}]
    with pytest.raises(TunewrightError, match=r"rows\.json row 2: \['b'\] does not have 2 cells"):
        rows(tmp_path, '[["a", 1], ["b"]]', "rows.json", header=False)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": 1}\n{"a" 2}\n', r"line 2: no JSON at character 5"),
        ('{"a": 1}\n7\n', r"line 2: 7 is no record"),
        ("\n", "there are no records"),
        ("[]", "the list has no rows"),
        ("[1, ", "no JSON at character"),
        ("", "the file is empty"),
    ],
)
def test_broken(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(TunewrightError, match=rf"rows\.jsonl:? {problem}"):
        rows(tmp_path, text)


def test_half_a_surrogate_pair_becomes_a_replacement(tmp_path: Path) -> None:
    assert rows(tmp_path, '{"text": "a\\ud800b"}\n').values("text") == ["a\ufffdb"]


def test_gb18030(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes('{"text": "我的卡在哪里？为什么"}\n'.encode("gb18030"))
    data = read(path)
    assert (data.encoding, data.values("text")) == ("gb18030", ["我的卡在哪里？为什么"])
