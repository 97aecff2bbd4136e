"""Training curves: from the journal of a run that was killed, mixed with another, or damaged, to plots."""

from __future__ import annotations

from typing import Any

import pytest

from tunewright import report
from tunewright.core.types import Finding
from tunewright.report.curves import MOST_POINTS, curves, thinned, traces
from tunewright.report.html import page


def begin(course: str = "full", step: int = 0, work: str = "work-1", score: float = 0.25) -> dict[str, Any]:
    return {"event": "begin", "course": course, "step": step, "work": work, "metric": "accuracy", "score": score}


def step(at: int, loss: float | None, course: str = "full") -> dict[str, Any]:
    return {"event": "step", "course": course, "step": at, "loss": loss}


def epoch(at: int, score: float, course: str = "full") -> dict[str, Any]:
    return {"event": "epoch", "course": course, "step": at, "score": score}


WHOLE = [begin(), step(1, 2.0), step(20, 1.0), epoch(20, 0.5), step(40, 0.5), epoch(40, 0.75)]


def test_loss_and_score_over_the_steps() -> None:
    (found,) = curves(WHOLE, "work-1")
    assert (found["name"], found["metric"]) == ("full", "accuracy")
    assert found["loss"] == [[1, 2.0], [20, 1.0], [40, 0.5]]
    assert found["score"] == [[0, 0.25], [20, 0.5], [40, 0.75]]


def test_one_for_each_training_in_order() -> None:
    other = [begin("contrastive-2"), step(1, 3.0, "contrastive-2")]
    assert [one["name"] for one in curves([*WHOLE, *other], "work-1")] == ["full", "contrastive-2"]


@pytest.mark.parametrize("went_on_at", [0, 20, 30])
def test_of_steps_that_were_made_again_the_later_ones_count(went_on_at: int) -> None:
    again = [step(at, loss) for at, loss in ((20, 9.0), (40, 8.0)) if at > went_on_at]
    start = [step(1, 7.0)] if not went_on_at else []
    (found,) = curves([*WHOLE, begin(step=went_on_at, score=0.3), *start, *again, epoch(40, 0.8)], "work-1")
    first = [[1, 7.0], [20, 9.0]] if not went_on_at else [[1, 2.0], [20, 1.0]]
    assert found["loss"] == [*first, [40, 8.0]]
    assert found["score"] == ([[0, 0.3]] if not went_on_at else [[0, 0.25], [20, 0.5]]) + [[40, 0.8]]


def test_another_run_in_the_same_journal_is_left_out() -> None:
    other = [begin("lora", work="work-2"), step(1, 5.0, "lora"), begin(work="work-2"), step(1, 6.0), epoch(9, 0.1)]
    for mixed in ([*WHOLE, *other], [*other, *WHOLE]):
        assert curves(mixed, "work-1") == curves(WHOLE, "work-1")


@pytest.mark.parametrize(
    "damaged",
    [
        {"event": "begin"},
        {"event": "begin", "work": "work-1", "step": "x", "score": "y", "course": None},
        {"event": "step"},
        {"event": "step", "course": "full", "step": "2", "loss": 1.0},
        step(3, None),
        {"event": "epoch", "course": "full", "step": 3, "score": [1]},
        {"event": "strange", "course": 3},
    ],
)
def test_damaged_records_stop_nothing(damaged: dict[str, Any]) -> None:
    assert curves([*WHOLE, damaged], "work-1") == curves(WHOLE, "work-1")
    assert curves([damaged], "work-1") == []


def test_many_points_become_means() -> None:
    points = [[at, float(at % 2)] for at in range(1, 5_001)]
    found = thinned(points)
    assert len(found) <= MOST_POINTS
    assert found[-1][0] == 5_000
    assert {value for _, value in found} == {0.48, 0.52}, "of 25 each, 12 or 13 are odd"
    assert thinned(points[:3]) == points[:3]
    assert thinned([]) == []


def test_two_small_plots_in_both_languages() -> None:
    loss, score = traces(curves(WHOLE, "work-1")[0])
    assert "loss of training" in loss
    assert "训练损失" in loss
    assert "Accuracy" in score
    assert "准确率" in score
    assert 'style="max-width:400px"' in loss
    assert loss.count("polyline") == score.count("polyline") == 1


def test_of_a_single_point_there_is_no_plot() -> None:
    assert traces({"name": "full", "metric": "accuracy", "loss": [[1, 2.0]], "score": []}) == []


def test_the_report_shows_them_with_memory_and_parameters(about: dict[str, Any], findings: list[Finding]) -> None:
    rungs = [
        {"method": "full", "score": 0.8, "seconds": 2.0, "size_bytes": 9, "peak_rss_bytes": 812_000_000, "kept": True}
        | {"facts": {"trainable_parameters": 123_456}, "gain": None, "low": None, "error": None},
        {"method": "probe", "score": 0.8, "likelihood_gain": 0.0313, "likelihood_low": 0.015},
    ]
    told = about | {"run": about["run"] | {"rungs": rungs}}
    record = report.record(told, findings, training=curves(WHOLE, "work-1"))
    html = page(record, findings)
    for text in ("Training of full", "full 的训练过程", "Peak MB", "内存峰值", "Trainable"):
        assert text in html
    for text in (">812<", ">123,456<", ">0.031; 0.015<"):
        assert text in html
    assert record["training"] == curves(WHOLE, "work-1")
    assert "Training of" not in page(report.record(about, findings), findings)
