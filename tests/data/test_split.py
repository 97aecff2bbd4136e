"""Parts: deterministic, the same whatever the order of rows, no straddling, shares within rounding."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Split
from tunewright.core.task import Task
from tunewright.data.dataset import read
from tunewright.data.rows import Rows, rows_of
from tunewright.data.split import split

By = Literal["label", "group", "time"]

ROW = st.tuples(
    st.text("abc ", min_size=1, max_size=3), st.sampled_from("xyz"), st.sampled_from("pqrst"), st.integers(0, 9)
)
TABLE = st.lists(ROW, min_size=1, max_size=60)
SHARE = st.floats(0.05, 0.6)


def rows_from(table: list[tuple[str, str, str, int]], by: By = "label", kind: str = "classify") -> tuple[Rows, Task]:
    columns = dict(zip(("text", "label", "who", "when"), map(list, zip(*table, strict=True)), strict=True))
    column = {"label": "", "group": "who", "time": "when"}[by]
    task = Task.model_validate(
        {
            "inputs": {"text": "text"},
            "targets": [{"column": "label", "kind": kind}],
            "split": {"by": by, "column": column},
        }
    )
    return rows_of(read(columns), task), task


def cut(table: list[tuple[str, str, str, int]], share: float, by: By = "label", seed: int = 0) -> tuple[Any, Any, Rows]:
    rows, task = rows_from(table, by)
    rest, part = split(rows, share, task.split, seed, task.targets)
    return rest, part, rows


def key(rows: Rows, at: int) -> tuple[str, str]:
    return rows.keys[int(at)], rows.targets["label"][at]


@given(TABLE, SHARE, st.sampled_from(["label", "group", "time"]), st.integers(0, 3))
def test_every_row_is_in_one_part_and_equal_inputs_never_straddle(
    table: list[tuple[str, str, str, int]], share: float, by: By, seed: int
) -> None:
    rest, part, rows = cut(table, share, by, seed)
    assert sorted([*rest.tolist(), *part.tolist()]) == list(range(len(table)))
    keys = rows.keys.to_list()
    assert not {keys[at] for at in rest} & {keys[at] for at in part}
    assert len(rest) > 0


@given(TABLE, SHARE, st.sampled_from(["label", "group", "time"]), st.randoms())
def test_membership_and_order_do_not_depend_on_the_order_of_the_file(
    table: list[tuple[str, str, str, int]], share: float, by: By, random: Any
) -> None:
    rest, part, rows = cut(table, share, by)
    shuffled = list(table)
    random.shuffle(shuffled)
    other_rest, other_part, other = cut(shuffled, share, by)
    assert [key(rows, at) for at in rest] == [key(other, at) for at in other_rest]
    assert [key(rows, at) for at in part] == [key(other, at) for at in other_part]


@given(TABLE, SHARE, st.sampled_from(["label", "group", "time"]))
def test_every_label_keeps_a_row_to_learn_from(table: list[tuple[str, str, str, int]], share: float, by: By) -> None:
    rest, _, rows = cut(table, share, by)
    assert {rows.targets["label"][at] for at in rest} == set(rows.targets["label"])


@given(TABLE, SHARE)
def test_a_group_never_straddles(table: list[tuple[str, str, str, int]], share: float) -> None:
    rest, part, rows = cut(table, share, "group")
    assert rows.groups is not None
    assert not {rows.groups[at] for at in rest} & {rows.groups[at] for at in part}


@given(st.lists(st.sampled_from("vwxyz"), min_size=20, max_size=200), SHARE, st.integers(0, 3))
def test_shares_are_met_within_rounding(labels: list[str], share: float, seed: int) -> None:
    table = [(f"text {at}", label, "p", 0) for at, label in enumerate(labels)]
    _, part, rows = cut(table, share, seed=seed)
    got = [rows.targets["label"][at] for at in part]
    for label in set(labels):
        assert abs(got.count(label) - share * labels.count(label)) <= 1
    if all(labels.count(label) >= 4 for label in set(labels)):
        assert abs(len(part) - share * len(labels)) <= 1


@given(st.integers(20, 200), SHARE)
def test_the_latest_rows_form_the_part(count: int, share: float) -> None:
    table = [(f"text {at}", "xy"[at % 2], "p", at) for at in range(count)]
    rest, part, _ = cut(table, share, "time")
    assert max(rest) < min(part)
    assert len(part) == int(count * share + 0.5)


def test_a_text_seen_before_the_cut_stays_with_its_first_time() -> None:
    table = [(f"text {at}", "xy"[at % 2], "p", at) for at in range(20)] + [("text 1", "y", "p", 99)]
    rest, part, _ = cut(table, 0.2, "time")
    assert 20 in rest
    assert sorted(part) == [16, 17, 18, 19]


def test_groups_tied_by_an_equal_text_stay_together() -> None:
    table = [(f"text {at}", "xy"[at % 2], "pqrs"[at // 10], 0) for at in range(40)] + [("text 0", "x", "s", 0)]
    rest, part, rows = cut(table, 0.5, "group")
    assert rows.groups is not None
    sides = [{rows.groups[at] for at in side} for side in (rest, part)]
    assert any({"p", "s"} <= side for side in sides)


def test_the_seed_decides() -> None:
    table = [(f"text {at}", "xy"[at % 2], "p", 0) for at in range(100)]
    first, again, other = (set(cut(table, 0.2, seed=seed)[1].tolist()) for seed in (0, 0, 1))
    assert first == again != other


def test_a_part_of_the_rest_is_new(tmp_path: object) -> None:
    rows, task = rows_from([(f"text {at}", "xy"[at % 2], "p", 0) for at in range(100)])
    rest, _ = split(rows, 0.2, task.split, 0, task.targets)
    learn, validation = split(rows.take(rest), 0.1, task.split, 0, task.targets)
    assert (len(learn), len(validation)) == (72, 8)


def test_a_small_part_has_at_least_one_row() -> None:
    _, part, _ = cut([("a", "x", "p", 0), ("b", "x", "p", 0), ("c", "y", "p", 0)], 0.1)
    assert len(part) == 1


def test_nothing_can_be_cut() -> None:
    rest, part, _ = cut([("a", "x", "p", 0), ("b", "y", "p", 0)], 0.5)
    assert (len(rest), len(part)) == (2, 0)
    rest, part, _ = cut([("a", "x", "p", 0)], 0.0)
    assert (rest.tolist(), part.tolist()) == ([0], [])


def test_several_labels_are_cut_by_the_rarest() -> None:
    table = [(f"text {at}", "common|rare" if at % 10 == 0 else "common", "p", 0) for at in range(200)]
    rows, task = rows_from(table, kind="multilabel")
    _, part = split(rows, 0.2, task.split, 0, task.targets)
    assert sum("rare" in rows.targets["label"][at] for at in part) == 4
    assert len(part) == 40


def test_numbers_are_cut_without_strata() -> None:
    rows, task = rows_from([(f"text {at}", str(at), "p", 0) for at in range(50)], kind="regress")
    rest, part = split(rows, 0.2, task.split, 0, task.targets)
    assert (len(rest), len(part)) == (40, 10)


@pytest.mark.parametrize("by", ["group", "time"])
def test_rows_without_the_column(by: By) -> None:
    rows, task = rows_from([("a", "x", "p", 0), ("b", "x", "p", 0)])
    with pytest.raises(TunewrightError, match=f"no (groups|time) to cut by → name the column of {by}s"):
        split(rows, 0.5, Split(by=by, column="gone"), 0, task.targets)


def test_indices_are_integers() -> None:
    rest, part, _ = cut([("a", "x", "p", 0), ("b", "x", "p", 0)], 0.5)
    assert rest.dtype == part.dtype == np.int64
