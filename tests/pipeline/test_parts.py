"""Rows of any source, checked and cut: the same parts, nothing straddles, what judges is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

import tunewright
from tunewright import samples
from tunewright.core.errors import TunewrightError
from tunewright.pipeline.parts import Parts, language_of, read_parts
from tunewright.pipeline.tasks import describe

TRAIN = samples.path("support_train.csv")


def parts(train: Any = TRAIN, test: Any = None, **settings: Any) -> Parts:
    dotted = {name.replace("__", "."): value for name, value in settings.items()}
    task, _ = describe(train, test=test, text="text", label="intent", settings=dotted)
    return read_parts(task, train, test)


def texts(rows: Any) -> list[str]:
    return list(rows.inputs["text"])


def test_every_source_of_the_same_rows_gives_the_same_parts(tmp_path: Path) -> None:
    frame = pl.read_csv(TRAIN)
    frame.write_parquet(tmp_path / "rows.parquet")
    frame.write_ndjson(tmp_path / "rows.jsonl")
    wanted = parts()
    columns = {name: frame[name].to_list() for name in frame.columns}
    for source in (frame, frame.to_pandas(), columns, tmp_path / "rows.parquet", str(tmp_path / "rows.jsonl")):
        found = parts(source)
        assert found.digest == wanted.digest
        assert [texts(one) for one in (found.train, found.validation, found.test)] == [
            texts(one) for one in (wanted.train, wanted.validation, wanted.test)
        ]


def test_parts_are_cut_by_the_shares_and_share_no_row() -> None:
    found = parts()
    assert (len(found.test), len(found.validation), len(found.train)) == (48, 19, 173)
    assert found.judged_on == "test"
    assert not found.leaked.any()
    sets = [set(texts(one)) for one in (found.train, found.validation, found.test)]
    assert sum(map(len, sets)) == len(set.union(*sets)) == 240


def test_given_parts_stay_whole_and_leaks_are_marked(tmp_path: Path) -> None:
    frame = pl.read_csv(TRAIN)
    test = pl.concat([pl.read_csv(samples.path("support_test.csv")), frame.head(2)])
    frame.tail(20).write_csv(tmp_path / "validation.csv")
    found = parts(frame.head(200), test, data__validation=str(tmp_path / "validation.csv"))
    assert (len(found.train), len(found.validation), len(found.test)) == (200, 20, 82)
    assert found.leaked.tolist() == [False] * 80 + [True] * 2
    assert "leaked" in {issue.name for issue in found.issues}


def test_without_a_test_part_the_validation_part_judges() -> None:
    found = parts(split__test=0)
    assert found.judged_on == "validation"
    assert found.test is found.validation
    assert (len(found.train), len(found.validation)) == (216, 24)
    assert found.leaked is None


def test_groups_stay_together() -> None:
    frame = pl.read_csv(TRAIN).with_row_index("customer").with_columns(pl.col("customer") // 5)
    found = parts(frame, split__by="group", split__column="customer")
    groups = [set(one.groups or ()) for one in (found.train, found.validation, found.test)]
    assert all(groups)
    assert sum(map(len, groups)) == len(set.union(*groups)) == 48


def test_the_latest_rows_are_the_test_part() -> None:
    day = pd.Timestamp("2026-01-01")
    frame = pd.read_csv(TRAIN).assign(day=[(day + pd.Timedelta(days=at)).date().isoformat() for at in range(240)])
    found = parts(frame, split__by="time", split__column="day")
    times = [one.times or [] for one in (found.train, found.validation, found.test)]
    assert max(times[0]) < min(times[1])
    assert max(times[1]) < min(times[2])
    assert len(times[2]) == 48


def test_the_column_to_cut_by_must_be_there() -> None:
    with pytest.raises(TunewrightError, match="there is no column 'customer'"):
        parts(split__by="group", split__column="customer")
    with pytest.raises(TunewrightError, match="needs a column → set split.column"):
        parts(split__by="group")


def test_check_finds_what_fit_would_stop_at(tiny_backbone: Path) -> None:
    frame = pl.read_csv(TRAIN)
    bad = pl.concat([frame, pl.DataFrame({"text": ["far too long " * 50, ""], "intent": ["unicorn", "return_item"]})])
    settings = {"fit.backbone": str(tiny_backbone)}
    issues = tunewright.check(bad, text="text", label="intent", settings=settings)
    assert issues[0].level == "stop"
    assert issues[0].name == "empty_input"
    assert issues[0].place == "the frame row 241"
    with pytest.raises(TunewrightError, match="the frame row 241: text is empty"):
        parts(bad)
    good = tunewright.check(bad.head(241), text="text", label="intent", settings=settings)
    assert {"single_row_class", "small_class", "long_row"} <= {issue.name for issue in good}
    assert {issue.level for issue in good} == {"warn"}


@pytest.mark.parametrize(("name", "language"), [("support_train.csv", "en"), ("support_zh_train.csv", "zh")])
def test_the_language_is_that_of_the_texts(name: str, language: str) -> None:
    task, _ = describe(text="text", label="intent")
    assert language_of(task, parts(samples.path(name)).train) == language
