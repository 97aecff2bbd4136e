"""Raw values of targets: labels as written, merged, several of one cell or column by column; numbers."""

from __future__ import annotations

from typing import Any

import pytest

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Target
from tunewright.data.dataset import read
from tunewright.data.targets import target_of


def values(cells: list[Any], kind: str = "classify", **more: Any) -> list[Any]:
    return target_of(read({"label": cells}), Target(column="label", kind=kind, **more))


def test_labels_stay_as_written() -> None:
    assert values(["x ", "X", "01", None]) == ["x ", "X", "01", None]
    assert values(["None", "NA"]) == ["None", "NA"]


@pytest.mark.parametrize("cell", [None, "", "  ", "NaN", "nan", "<NA>"])
def test_no_label(cell: str | None) -> None:
    assert values([cell]) == [None]


def test_numbers_as_labels() -> None:
    assert values([1.0, 2.0, float("nan")]) == ["1", "2", None]
    assert values([True, False]) == ["true", "false"]


def test_labels_are_merged() -> None:
    merged = values(["Card", "card ", "card", "loan"], merge={"card": ["Card", "card "]})
    assert merged == ["card", "card", "card", "loan"]
    with pytest.raises(TunewrightError, match="merge: 'x' is to become 'a' and 'b' → name it once"):
        values(["x"], merge={"a": ["x"], "b": ["x"]})


def test_several_labels_of_one_cell() -> None:
    assert values(["x| y |x", None, "z"], "multilabel", merge={"w": ["z"]}) == [["x", "y"], [], ["w"]]
    assert values([["x", "y"], []], "multilabel") == [["x", "y"], []]


def test_one_column_per_label() -> None:
    wanted = Target(kind="multilabel", columns=("up", "down"))
    found = target_of(read({"up": ["1", "0", None], "down": [1, 0, 1]}), wanted)
    assert found == [["up", "down"], [], None]
    with pytest.raises(TunewrightError, match="the frame row 1: up is 'maybe', neither 0 nor 1 → write 0 or 1"):
        target_of(read({"up": ["1", "maybe"], "down": [1, 0]}), wanted)


def test_numbers() -> None:
    assert values(["1.5", " 2 ", "NaN"], "regress") == [1.5, 2.0, None]
    assert values([3], "regress") == [3.0]


@pytest.mark.parametrize("cell", ["good", "1,5", "inf"])
def test_no_number(cell: str) -> None:
    said = rf"the frame row 1: label is '{cell}', no number \(2 such rows\) → write"
    with pytest.raises(TunewrightError, match=said):
        values(["1", cell, cell], "regress")


def test_other_kinds_get_raw_values() -> None:
    assert values([["A", "B"], None], "tag") == [["A", "B"], None]
