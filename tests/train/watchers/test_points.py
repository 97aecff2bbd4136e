"""What watchers show: figures by name and step, of a training or of the whole run; all else has none."""

from __future__ import annotations

from typing import Any

from tunewright.train.watchers._points import Point, point, settings


def test_the_figures_of_each_record(records: list[dict[str, Any]]) -> None:
    found = [point(record) for record in records]
    start = {"validation/accuracy": 0.25, "validation/best": 0.25}
    step = {"learning_rate": 0.01, "cost_per_second": 900.0, "peak_rss_bytes": 5e6, "epoch": 1.0}
    assert found[0] is None
    assert found[1] == Point("full", 0, start)
    assert found[2] == Point("full", 1, {"loss": 2.0} | step)
    assert found[3] == Point("full", 21, step), "a loss that is not finite is no figure"
    assert found[4] == Point("full", 40, {"validation/accuracy": 0.75, "validation/best": 0.75})
    assert found[5] == Point("contrastive-2", 0, start)
    rung = {"rung/full/score": 0.75, "rung/full/took_seconds": 3.5, "rung/full/size_bytes": 400.0}
    assert found[8] == Point("", 0, rung)
    assert found[9] == Point("", 0, {"final/accuracy": 0.8})
    assert found[10] == Point("", 0, {"final/urgency/accuracy": 0.6})
    assert found[7] is found[11] is None


def test_a_training_that_goes_on_tells_no_score_of_its_start(records: list[dict[str, Any]]) -> None:
    assert point(records[1] | {"step": 20}) is None


def test_settings_are_texts(records: list[dict[str, Any]]) -> None:
    assert settings(records[0]) == {"fit.epochs": "3", "inputs.text 列": "text"}
    assert settings(records[1]) == {}
