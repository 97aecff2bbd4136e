"""A bundle judged on further labelled rows: the same figures as at fit, from any source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tunewright
from tunewright import samples
from tunewright.core.errors import TunewrightError

TEST = samples.path("support_test.csv")


def values(found: list[Any]) -> dict[str, float]:
    return {one.metric: one.value for one in found if not one.slice and one.value is not None}


def test_the_test_part_gives_the_figures_of_the_manifest_again(tiny_bundle: Path) -> None:
    found = values(tunewright.evaluate(tiny_bundle, TEST))
    told = {name: one["value"] for name, one in tunewright.load(tiny_bundle).manifest.metrics.items()}
    assert found == pytest.approx({name: told[name] for name in found})
    assert {"accuracy", "macro_f1", "ece"} <= set(found)


def test_frames_and_mappings_are_judged_as_files_are(tiny_bundle: Path) -> None:
    frame = pl.read_csv(TEST)
    wanted = values(tunewright.evaluate(tiny_bundle, TEST))
    for source in (frame, frame.to_pandas(), frame.to_dict(as_series=False), frame.rename({"intent": "topic"})):
        label = "topic" if isinstance(source, pl.DataFrame) and "topic" in source.columns else None
        assert values(tunewright.evaluate(tiny_bundle, source, label=label)) == pytest.approx(wanted)


def test_rows_of_a_single_class_can_be_judged(tiny_bundle: Path) -> None:
    frame = pl.read_csv(TEST).filter(pl.col("intent") == "return_item")
    assert 0 <= values(tunewright.evaluate(tiny_bundle, frame))["accuracy"] <= 1


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ({"text": ["a"], "intent": ["return_itme"]}, "row 0: label 'return_itme' is not .* did you mean 'return_item'"),
        ({"text": ["a"], "intent": ["zzz"]}, "row 0: label 'zzz' is not in the task's labels → add training rows"),
        ({"text": ["a"], "intent": [None]}, "row 0: intent is empty or NaN → fill it"),
        ({"text": [" "], "intent": ["return_item"]}, "row 0: text is empty → fill it"),
        ({"text": [], "intent": []}, "there are no rows"),
        ({"text": ["a"]}, "no column 'intent'"),
    ],
)
def test_rows_that_cannot_be_judged_are_named(tiny_bundle: Path, rows: dict[str, list[Any]], problem: str) -> None:
    with pytest.raises(TunewrightError, match=problem):
        tunewright.evaluate(tiny_bundle, rows)


def test_empty_rows_can_be_left_out(tiny_bundle: Path) -> None:
    rows = {"text": ["where is it", ""], "intent": ["order_status", "order_status"]}
    found = tunewright.evaluate(tiny_bundle, rows, options={"drop_empty": True})
    assert next(one for one in found if one.metric == "accuracy").n == 1
