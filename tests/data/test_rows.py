"""What a task takes out of a dataset."""

from __future__ import annotations

from typing import Any

import pytest

from tunewright.core.errors import TunewrightError
from tunewright.core.task import Task
from tunewright.data.dataset import read
from tunewright.data.rows import Rows, columns_of, rows_of


def task(kind: str = "classify", column: str = "label", inputs: tuple[str, ...] = ("text",), **more: Any) -> Task:
    tree: dict[str, Any] = {"inputs": dict.fromkeys(inputs, "text"), "targets": [{"column": column, "kind": kind}]}
    for dotted, value in more.items():
        section, _, key = dotted.partition("__")
        place = tree["targets"][0] if section == "target" else tree.setdefault(section, {})
        place[key] = value
    return Task.model_validate(tree)


def made(columns: dict[str, list[Any]], wanted: Task) -> Rows:
    return rows_of(read(columns), wanted)


def test_inputs_and_labels_stay_as_written() -> None:
    rows = made({"text": ["a", "b", "c", "d"], "label": ["x ", "X", "01", None]}, task())
    assert rows.targets == {"label": ["x ", "X", "01", None]}
    assert rows.inputs == {"text": ["a", "b", "c", "d"]}


def test_the_order_of_several_labels_does_not_count() -> None:
    rows = made({"text": ["a", "b", "c"], "label": [["y", "x"], ["x", "y"], []]}, task("multilabel"))
    assert rows.label_keys("label").to_list() == ["x\x1fy", "x\x1fy", ""]


def test_empty_rows_are_dropped_if_asked() -> None:
    columns = {"text": ["a", " ", "c", None], "label": ["x", "y", None, "z"]}
    assert len(made(columns, task())) == 4
    rows = made(columns, task(data__drop_empty=True))
    assert (rows.inputs["text"], rows.targets["label"]) == (["a"], ["x"])
    assert (rows.dropped, rows.first_dropped) == (3, "the frame row 1")
    assert rows.place(0) == "the frame row 0"


def test_a_row_is_empty_if_all_inputs_are() -> None:
    columns = {"title": ["a", ""], "text": [None, ""], "label": ["x", "y"]}
    rows = made(columns, task(inputs=("title", "text"), data__drop_empty=True))
    assert rows.inputs == {"title": ["a"], "text": [""]}


def test_equal_inputs_have_equal_keys() -> None:
    rows = made({"text": ["café  au\nlait", " cafe\u0301 au lait", "Café au lait"], "label": ["x"] * 3}, task())
    keys = rows.keys.to_list()
    assert keys[0] == keys[1] != keys[2]
    two = made({"title": ["a b", "a"], "text": ["c", "b c"], "label": ["x", "y"]}, task(inputs=("title", "text")))
    assert two.keys.n_unique() == 2


def test_taken_rows() -> None:
    wanted = task(split__by="group", split__column="who")
    rows = made({"text": ["a", "b", "c"], "label": ["x", "y", "z"], "who": [1, 1, None]}, wanted)
    part = rows.take([2, 1])
    assert part.inputs["text"] == ["c", "b"]
    assert part.targets["label"] == ["z", "y"]
    assert part.groups is not None
    assert part.groups[1] == "1" != part.groups[0]
    assert part.digest == part.dataset.digest != rows.digest


def test_parts_are_cut_by_time_where_the_column_is_there() -> None:
    columns = {"text": ["a", "b"], "label": ["x", "y"], "when": [2.0, 1.0]}
    assert made(columns, task(split__by="time", split__column="when")).times == [2.0, 1.0]
    assert made(columns, task(split__by="time", split__column="then")).times is None


def test_other_kinds_and_modalities_get_raw_values() -> None:
    wanted = Task.model_validate({"inputs": {"dots": "dots"}, "targets": [{"column": "tags", "kind": "tag"}]})
    rows = made({"dots": [[1, 2], [3, 4]], "tags": [["A", "B"], None]}, wanted)
    assert rows.inputs["dots"] == [[1, 2], [3, 4]]
    assert rows.targets["tags"] == [["A", "B"], None]
    assert rows.keys.n_unique() == 2


def test_columns_of_a_task() -> None:
    wanted = task(split__by="time", split__column="when")
    assert columns_of(wanted) == ("text", "label", "when")
    assert columns_of(wanted, split=False) == ("text", "label")
    assert columns_of(task("multilabel", "", target__columns=("up", "down"))) == ("text", "up", "down")
    with pytest.raises(TunewrightError, match="no input column → pass --text COLUMN"):
        columns_of(Task())
    with pytest.raises(TunewrightError, match="no column to learn from → pass --label COLUMN"):
        columns_of(task(column=""))
    with pytest.raises(TunewrightError, match="column 'text' is input and label at once"):
        columns_of(task(column="text"))
