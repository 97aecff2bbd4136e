"""What a task takes out of a dataset."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl
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


def test_labels_stay_as_written() -> None:
    rows = made({"text": ["a", "b", "c", "d"], "label": ["x ", "X", "01", None]}, task())
    assert rows.targets == {"label": ["x ", "X", "01", None]}
    assert rows.inputs == {"text": ["a", "b", "c", "d"]}


@pytest.mark.parametrize("cell", [None, "", "  ", "NaN", "nan", "<NA>"])
def test_no_label(cell: str | None) -> None:
    assert made({"text": ["a"], "label": [cell]}, task()).targets["label"] == [None]


def test_none_is_a_label() -> None:
    assert made({"text": ["a", "b"], "label": ["None", "NA"]}, task()).targets["label"] == ["None", "NA"]


def test_numbers_as_labels() -> None:
    assert made({"text": ["a", "b", "c"], "label": [1.0, 2.0, float("nan")]}, task()).targets["label"] == [
        "1",
        "2",
        None,
    ]
    assert made({"text": ["a", "b"], "label": [True, False]}, task()).targets["label"] == ["true", "false"]


def test_labels_are_merged() -> None:
    wanted = task(target__merge={"card": ["Card", "card "]})
    assert made({"text": ["a"] * 4, "label": ["Card", "card ", "card", "loan"]}, wanted).targets["label"] == [
        "card",
        "card",
        "card",
        "loan",
    ]
    with pytest.raises(TunewrightError, match="merge: 'x' is to become 'a' and 'b' → name it once"):
        made({"text": ["a"], "label": ["x"]}, task(target__merge={"a": ["x"], "b": ["x"]}))


def test_several_labels_of_one_cell() -> None:
    rows = made(
        {"text": ["a", "b", "c"], "label": ["x| y |x", None, "z"]}, task("multilabel", target__merge={"w": ["z"]})
    )
    assert rows.targets["label"] == [["x", "y"], [], ["w"]]
    lists = made({"text": ["a", "b"], "label": [["x", "y"], []]}, task("multilabel"))
    assert lists.targets["label"] == [["x", "y"], []]
    assert lists.label_keys("label").to_list() == ["x\x1fy", ""]


def test_one_column_per_label() -> None:
    wanted = task("multilabel", "", target__columns=("up", "down"))
    rows = made({"text": ["a", "b", "c"], "up": ["1", "0", None], "down": [1, 0, 1]}, wanted)
    assert rows.targets["labels"] == [["up", "down"], [], None]
    with pytest.raises(TunewrightError, match="the frame row 1: up is 'maybe', neither 0 nor 1 → write 0 or 1"):
        made({"text": ["a", "b"], "up": ["1", "maybe"], "down": [1, 0]}, wanted)


def test_numbers() -> None:
    rows = made({"text": ["a", "b", "c"], "label": ["1.5", " 2 ", "NaN"]}, task("regress"))
    assert rows.targets["label"] == [1.5, 2.0, None]
    assert made({"text": ["a"], "label": [3]}, task("regress")).targets["label"] == [3.0]


@pytest.mark.parametrize("cell", ["good", "1,5", "inf"])
def test_no_number(cell: str) -> None:
    with pytest.raises(
        TunewrightError, match=rf"the frame row 1: label is '{cell}', no number \(2 such rows\) → write"
    ):
        made({"text": ["a", "b", "c"], "label": ["1", cell, cell]}, task("regress"))


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


@pytest.mark.parametrize(
    ("cells", "second"),
    [
        (["2020-01-31", "2020-02-01"], "2020-02-01"),
        (["31-01-2020", "1/2/2020"], "2020-02-01"),
        (["1/31/2020", "2/1/2020"], "2020-02-01"),
        (["18-Jul-20", "19-Jul-20"], "2020-07-19"),
        (["Jul 18 2020", "Jul 19 2020"], "2020-07-19"),
        (["2020-01-01T10:00:00", "2020-01-01T12:00:00+02:00"], "2020-01-01T10:00:00"),
        ([datetime(2020, 1, 1), datetime(2020, 1, 2)], "2020-01-02"),
        ([datetime(2020, 1, 1).date(), datetime(2020, 1, 2).date()], "2020-01-02"),
    ],
)
def test_times(cells: list[Any], second: str) -> None:
    columns = {"text": ["a", "b"], "label": ["x", "y"], "when": cells}
    rows = made(columns, task(split__by="time", split__column="when"))
    assert rows.times is not None
    assert rows.times[1] == datetime.fromisoformat(second).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize("cell", ["soon", None, float("nan")])
def test_no_time(cell: Any) -> None:
    frame = pl.DataFrame({"text": ["a"], "label": ["x"], "when": [cell]})
    with pytest.raises(TunewrightError, match=r"the frame row 0: when is .*, no time → write times as 2026-11-30"):
        rows_of(read(frame), task(split__by="time", split__column="when"))


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
