"""Folds: every row judged once, nothing shared with what is learnt, whatever the order of the file."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tunewright.core.errors import TunewrightError
from tunewright.core.task import Task, read_task
from tunewright.data.dataset import read
from tunewright.data.folds import Fold, folds
from tunewright.data.rows import Rows, rows_of

By = Literal["label", "group", "time"]
Table = list[tuple[str, str, str, int]]

ROW = st.tuples(
    st.text("abcd", min_size=1, max_size=3), st.sampled_from("xy"), st.sampled_from("pqrst"), st.integers(0, 9)
)
TABLE = st.lists(ROW, min_size=6, max_size=60)
BY = st.sampled_from(["label", "group", "time"])


def rows_from(table: Table, by: By = "label", kind: str = "classify") -> tuple[Rows, Task]:
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


def made(table: Table, count: int, by: By = "label", kind: str = "classify", seed: int = 0) -> tuple[list[Fold], Rows]:
    rows, task = rows_from(table, by, kind)
    return folds(rows, count, task.split, seed, task.targets), rows


def or_none(table: Table, count: int, by: By, seed: int = 0) -> tuple[list[Fold], Rows]:
    """Folds of a table that allows them."""
    try:
        return made(table, count, by, seed=seed)
    except TunewrightError:
        assume(False)
        raise


@settings(deadline=None)
@given(TABLE, st.integers(2, 4), st.sampled_from(["label", "group"]), st.integers(0, 3))
def test_every_row_is_judged_once_by_what_was_learnt_from_all_others(
    table: Table, count: int, by: By, seed: int
) -> None:
    found, rows = or_none(table, count, by, seed)
    assert len(found) == count
    assert sorted(at for fold in found for at in fold.judge) == list(range(len(table)))
    keys = rows.keys.to_list()
    for fold in found:
        assert sorted([*fold.learn, *fold.judge]) == list(range(len(table)))
        assert len(fold.judge) > 0
        assert not {keys[at] for at in fold.learn} & {keys[at] for at in fold.judge}
        if by == "group":
            assert not {table[at][2] for at in fold.learn} & {table[at][2] for at in fold.judge}


@settings(deadline=None)
@given(TABLE, st.integers(2, 4))
def test_by_time_each_fold_comes_after_what_was_learnt(table: Table, count: int) -> None:
    found, rows = or_none(table, count, "time")
    keys, times = rows.keys.to_list(), [row[3] for row in table]
    judged = Counter(int(at) for fold in found for at in fold.judge)
    assert set(judged.values()) <= {1}
    before = -1
    for fold in found:
        assert len(fold.learn) > 0
        assert len(fold.judge) > 0
        assert max(times[at] for at in fold.learn) < min(times[at] for at in fold.judge)
        assert before < min(times[at] for at in fold.judge), "folds follow each other"
        before = max(min(times[at] for at in fold.judge if keys[at] == key) for key in {keys[at] for at in fold.judge})
        assert not {keys[at] for at in fold.learn} & {keys[at] for at in fold.judge}
    first = min(min(times[at] for at in fold.judge) for fold in found)
    assert all(at in judged for at, row in enumerate(table) if min_time(table, row[0]) >= first)


def min_time(table: Table, text: str) -> int:
    return min(row[3] for row in table if row[0] == text)


@settings(deadline=None)
@given(TABLE, st.integers(2, 4), BY, st.randoms())
def test_they_do_not_depend_on_the_order_of_the_file(table: Table, count: int, by: By, random: Any) -> None:
    found, rows = or_none(table, count, by)
    shuffled = list(table)
    random.shuffle(shuffled)
    again, other = made(shuffled, count, by)

    def key(rows: Rows, at: int) -> tuple[str, str]:
        return rows.keys[int(at)], rows.targets["label"][int(at)]

    for one, two in zip(found, again, strict=True):
        assert [key(rows, at) for at in one.judge] == [key(other, at) for at in two.judge]
        assert [key(rows, at) for at in one.learn] == [key(other, at) for at in two.learn]


@given(st.lists(st.sampled_from("vwxyz"), min_size=30, max_size=200), st.integers(2, 5), st.integers(0, 3))
@settings(deadline=None)
def test_every_fold_has_its_share_of_each_label(labels: list[str], count: int, seed: int) -> None:
    assume(min(Counter(labels).values()) >= count)
    found, rows = made([(f"text {at}", label, "p", 0) for at, label in enumerate(labels)], count, seed=seed)
    sizes = [len(fold.judge) for fold in found]
    assert max(sizes) - min(sizes) <= 1
    for label in set(labels):
        own = [sum(rows.targets["label"][at] == label for at in fold.judge) for fold in found]
        assert max(own) - min(own) <= 1


def test_stretches_of_time_are_as_long_as_each_other_in_rows() -> None:
    found, _ = made([(f"text {at}", "xy"[at % 2], "p", at) for at in range(60)], 5, "time")
    assert [(min(fold.judge), max(fold.judge)) for fold in found] == [(10 * at, 10 * at + 9) for at in range(1, 6)]
    assert [len(fold.learn) for fold in found] == [10, 20, 30, 40, 50]


def test_a_later_row_of_a_text_seen_before_is_not_learnt_from_too_early() -> None:
    table = [(f"text {at}", "xy"[at % 2], "p", at) for at in range(20)] + [("text 1", "y", "p", 12)]
    found, _ = made(table, 3, "time")
    late = [20 in fold.learn for fold in found]
    assert late == [False, False, True]
    assert not any(20 in fold.judge for fold in found)


def test_several_labels_are_dealt_by_the_rarest() -> None:
    table = [(f"text {at}", "common|rare" if at % 10 == 0 else "common", "p", 0) for at in range(200)]
    found, rows = made(table, 5, kind="multilabel")
    assert [sum("rare" in rows.targets["label"][at] for at in fold.judge) for fold in found] == [4] * 5


def test_numbers_are_dealt_without_strata() -> None:
    found, _ = made([(f"text {at}", str(at), "p", 0) for at in range(50)], 5, kind="regress")
    assert [len(fold.judge) for fold in found] == [10] * 5


def test_the_seed_decides() -> None:
    table = [(f"text {at}", "xy"[at % 2], "p", 0) for at in range(100)]
    first, again, other = (set(made(table, 5, seed=seed)[0][0].judge.tolist()) for seed in (0, 0, 1))
    assert first == again != other


PLAIN: Table = [(f"text {at}", "x" if at < 12 else "y", "pqr"[at % 3], at % 4) for at in range(15)]


@pytest.mark.parametrize(
    ("count", "by", "kind", "said"),
    [
        (
            5,
            "label",
            "classify",
            "3 different inputs: a fold would be without it → set split.folds to 3 or fewer, add rows of it, or",
        ),
        (4, "group", "classify", "split.folds = 4, but there are 3 groups"),
        (4, "group", "classify", "set split.folds to 3 or fewer"),
        (4, "time", "classify", "by time needs 5 different times, and the rows have 4 → set split.folds to 3 or fewer"),
        (
            99,
            "label",
            "other",
            "split.folds = 99, but the rows have 15 different inputs → add rows, or set fewer folds",
        ),
    ],
)
def test_more_folds_than_the_rows_allow(count: int, by: By, kind: str, said: str) -> None:
    with pytest.raises(TunewrightError) as caught:
        made(PLAIN, count, by, kind)
    assert said in str(caught.value)


def test_a_label_with_one_row_cannot_be_cross_validated() -> None:
    with pytest.raises(TunewrightError, match="label 'z' has 1 different inputs.*→ add rows of it, or merge it"):
        made([*PLAIN, ("alone", "z", "p", 0)], 2)


def test_one_fold_is_none() -> None:
    with pytest.raises(TunewrightError, match="split.folds = 1: one fold leaves no rows to learn from → set 2 or more"):
        read_task(None, {"split.folds": 1})


def test_with_folds_no_test_part_is_cut_off_unless_it_is_asked_for() -> None:
    shares = [read_task(None, flags)[0].split.test for flags in ({}, {"split.folds": 5})]
    assert shares == [0.2, 0.0]
    assert read_task(None, {"split.folds": 5, "split.test": 0.3})[0].split.test == 0.3


def test_positions_are_integers() -> None:
    found, _ = made(PLAIN, 3)
    assert all(one.dtype == np.int64 for fold in found for one in (fold.learn, fold.judge))
